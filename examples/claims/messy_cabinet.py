#!/usr/bin/env python3
"""An autoencoder stores its data anywhere; a VAE where the prior looks for them.

    messy_cabinet.py ELBO DATA

Variance to zero: a VAE whose posterior is held at ever smaller deviations pays ever more nats for its
codes.  And as less and less noise keeps codes apart, the KL's pull on their means brings them
together: where the prior draws, there are no data any more, and what is decoded there degrades.  That
takes time; all have the same layers and epochs.
"""
import json

from claims import Claims

DEVIATIONS = [0.1, 0.01, 0.001]

claims = Claims()
images = f"{claims.data}/mnist/train-images-idx3-ubyte.gz"
test = f"{claims.data}/mnist/t10k-images-idx3-ubyte.gz"
models = {"vae": [], "ae": ["--model", "ae"]}
models |= {f"held-{deviation}": ["--posterior-sigma", deviation] for deviation in DEVIATIONS}
for name, words in models.items():
    claims.elbo("train", images, "--out", claims.path(name), "--hidden", 400, "--latent", 10,
                "--epochs", 20, *words)
told = json.loads(claims.elbo("compare", *map(claims.path, models), "--data", test,
                              "--importance-samples", 1, "--json"))
vae, ae, *held = told["models"]


def bound_and_spread(name):
    """Of test images: the ELBO, and the variance of the posterior's mean, a mean over units."""
    found = json.loads(claims.elbo("evaluate", claims.path(name), "--data", test, "--information",
                                   "--information-samples", 3, "--json"))
    spread = [unit["mean_variance"]["value"] for unit in found["information"]["latent_units"]]
    return found["elbo"], sum(spread) / len(spread)


far, near = ae["prior_distance"], vae["prior_distance"]
claims.claim("messy cabinet: distance of decoded prior draws in 50 coordinates, autoencoder over "
             "VAE", f"{far:.2f} / {near:.2f} = {far / near:.2f}", ">= 3", far >= 3 * near)
rate, (bound, spread) = vae["rate"], bound_and_spread("vae")
print(f"messy cabinet: VAE: variance of its codes' means: {spread:.3f}", flush=True)
for deviation, model in zip(DEVIATIONS, held):
    what = f"messy cabinet: posterior held at {deviation}"
    now, narrow = bound_and_spread(f"held-{deviation}")
    claims.claim(f"{what}, KL", f"{model['rate']:.2f} nats", f"above {rate:.2f}, that before",
                 model["rate"] > rate)
    claims.claim(f"{what}, held-out ELBO", f"{now:.2f}", f"below {bound:.2f}, that before",
                 now < bound)
    claims.claim(f"{what}, variance of its codes' means", f"{narrow:.3f}",
                 f"below the VAE's, {spread:.3f}", narrow < spread)
    # The VAE's own deviations are not much above 0.1: nothing is asked of draws there.
    distance = f"{model['prior_distance']:.2f}"
    if deviation == DEVIATIONS[0]:
        print(f"{what}, distance of decoded prior draws: {distance}", flush=True)
    else:
        claims.claim(f"{what}, distance of decoded prior draws", distance,
                     f"above the VAE's, {near:.2f}", model["prior_distance"] > near)
    rate, bound = model["rate"], now
claims.finish()
