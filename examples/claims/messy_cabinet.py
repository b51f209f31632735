#!/usr/bin/env python3
"""An autoencoder stores its data anywhere; a VAE where the prior looks for them.

    messy_cabinet.py ELBO DATA

Variance to zero: does a VAE whose posterior is held at ever smaller deviations pay ever more nats
for its codes, and store them less where the prior looks?  All have the same layers and epochs.
"""
import json

from claims import Claims

DEVIATIONS = [0.1, 0.03, 0.01, 0.003]

claims = Claims()
images = f"{claims.data}/mnist/train-images-idx3-ubyte.gz"
test = f"{claims.data}/mnist/t10k-images-idx3-ubyte.gz"
models = {"vae": [], "ae": ["--model", "ae"]}
models |= {f"held-{deviation}": ["--posterior-sigma", deviation] for deviation in DEVIATIONS}
for name, words in models.items():
    claims.elbo("train", images, "--out", claims.path(name), "--hidden", 400, "--latent", 10,
                "--epochs", 6, *words)
told = json.loads(claims.elbo("compare", *map(claims.path, models), "--data", test,
                              "--importance-samples", 1, "--json"))
vae, ae, *held = told["models"]
far, near = ae["prior_distance"], vae["prior_distance"]
claims.claim("messy cabinet: distance of decoded prior draws in 50 coordinates, autoencoder over "
             "VAE", f"{far:.2f} / {near:.2f} = {far / near:.2f}", ">= 3", far >= 3 * near)
before = vae["rate"]
for deviation, model in zip(DEVIATIONS, held):
    claims.claim(f"messy cabinet: posterior held at {deviation}, KL", f"{model['rate']:.2f} nats",
                 f"above {before:.2f}, that before", model["rate"] > before)
    claims.claim(f"messy cabinet: posterior held at {deviation}, distance of decoded prior draws",
                 f"{model['prior_distance']:.2f}", f"above the VAE's, {near:.2f}",
                 model["prior_distance"] > near)
    before = model["rate"]
claims.finish()
