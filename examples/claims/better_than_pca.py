#!/usr/bin/env python3
"""A VAE's k numbers say more of an image than k principal components do.

    better_than_pca.py ELBO DATA

Nats a held-out image, of pixels in [0, 1]: the bound of 500 draws for a Gaussian VAE with one
learned σ, and exactly for probabilistic principal components, whose σ is fitted as well.
"""
import json

from claims import Claims

claims = Claims()
images = f"{claims.data}/mnist/train-images-idx3-ubyte.gz"
test = f"{claims.data}/mnist/t10k-images-idx3-ubyte.gz"
for units, asked, linear in ((2, 150, 24.4), (10, 460, 186.4)):
    run = claims.path(f"vae{units}")
    claims.elbo("train", images, "--out", run, "--hidden", 400, "--latent", units, "--likelihood",
                "gaussian", "--sigma", "shared", "--epochs", 30, "--lr", 0.002, "--lr-schedule",
                "cosine")
    told = json.loads(claims.elbo("compare", run, "--data", test, "--pca", "--limit", 1000,
                                  "--importance-samples", 500, "--json"))
    vae, pca = (model["log_likelihood"] for model in told["models"])
    claims.claim(f"better than pca: held-out log-likelihood, k = {units}", f"{vae:.1f} nats",
                 f"at least {asked}", vae >= asked)
    claims.claim(f"better than pca: that of principal components, k = {units}", f"{pca:.1f} nats",
                 f"{linear}, to its digit", abs(pca - linear) <= 0.05001)
claims.finish()
