#!/usr/bin/env python3
"""An autoencoder stores its data anywhere; a VAE where the prior looks for them.

A VAE whose σ is held ever smaller becomes an autoencoder again: the code gets dearer, and draws
from the prior worse.

    messy_cabinet.py ELBO DATA
"""
import json

from claims import Claims

claims = Claims()
images = f"{claims.data}/mnist/train-images-idx3-ubyte.gz"
test = f"{claims.data}/mnist/t10k-images-idx3-ubyte.gz"
CLAMPS = (0.3, 0.1, 0.03, 0.01)
kinds = {"vae": (), "ae": ("--model", "ae")}
kinds |= {f"sigma-{clamp}": ("--posterior-sigma", clamp) for clamp in CLAMPS}
for name, words in kinds.items():
    claims.elbo("train", images, *words, "--out", claims.path(name), "--hidden", "400",
                "--latent", 10, "--epochs", 10)
told = json.loads(claims.elbo("compare", *map(claims.path, kinds), "--data", test,
                              "--importance-samples", 1, "--json"))
distance = dict(zip(kinds, (model["prior_distance"] for model in told["models"])))
claims.claim("distance of decoded prior draws in 50 coordinates, autoencoder over VAE",
             f"{distance['ae']:.2f} / {distance['vae']:.2f} = {distance['ae'] / distance['vae']:.2f}",
             ">= 3", distance["ae"] >= 3 * distance["vae"])

rates = [json.loads(claims.elbo("evaluate", claims.path(f"sigma-{clamp}"), "--data", test,
                                "--json"))["kl"] for clamp in CLAMPS]
far = [distance[f"sigma-{clamp}"] for clamp in CLAMPS]
claims.claim(f"KL with σ held at {', '.join(map(str, CLAMPS))}, nats",
             ", ".join(f"{rate:.1f}" for rate in rates), "rising", rates == sorted(rates))
claims.claim("and the distance of prior draws", ", ".join(f"{d:.2f}" for d in far),
             f"each above the free VAE's {distance['vae']:.2f}, the last the largest",
             min(far) > distance["vae"] and max(far) == far[-1])
claims.finish()
