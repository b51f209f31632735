#!/usr/bin/env python3
"""An autoencoder stores its data anywhere; a VAE where the prior looks for them.

    messy_cabinet.py ELBO DATA
"""
import json

from claims import Claims

claims = Claims()
images = f"{claims.data}/mnist/train-images-idx3-ubyte.gz"
test = f"{claims.data}/mnist/t10k-images-idx3-ubyte.gz"
runs = [claims.path(model) for model in ("vae", "ae")]
for model, run in zip(("vae", "ae"), runs):
    claims.elbo("train", images, "--model", model, "--out", run, "--hidden", "400",
                "--latent", 10, "--epochs", 10)
told = json.loads(claims.elbo("compare", *runs, "--data", test, "--importance-samples", 1, "--json"))
vae, ae = (model["prior_distance"] for model in told["models"])
claims.claim("distance of decoded prior draws in 50 coordinates, autoencoder over VAE",
             f"{ae:.2f} / {vae:.2f} = {ae / vae:.2f}", ">= 3", ae >= 3 * vae)
claims.finish()
