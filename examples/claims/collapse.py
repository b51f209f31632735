#!/usr/bin/env python3
"""How many latent units stay empty is known before training: a linear VAE keeps one for each
eigenvalue of the data's covariance above β σ² (Lucas et al., Don't Blame the ELBO!, 2019).

    collapse.py ELBO DATA
"""
import json
import math

from claims import Claims

claims = Claims()
images = f"{claims.data}/mnist/train-images-idx3-ubyte.gz"
for sigma2, beta in ((1, 1), (0.5, 1), (0.5, 2), (0.25, 1)):
    said = json.loads(claims.elbo("inspect", images, "--sigma2", sigma2, "--beta", beta, "--json"))
    expected = said["active_units"][0]["units"]
    run = claims.path(f"linear-{sigma2}-{beta}")
    claims.elbo("train", images, "--out", run, "--hidden", "none", "--latent", 50, "--likelihood",
                "gaussian", "--sigma", f"fixed:{math.sqrt(sigma2):.9f}", "--beta", beta,
                "--epochs", 20, "--lr", 0.003, "--lr-schedule", "cosine")
    told = claims.elbo("traverse", run, "--out", claims.path("units.csv"), "--units", 50)
    active = sum(line.split()[-1] == "yes" for line in told.splitlines())
    claims.claim(f"units that a linear VAE of 50 uses, σ² = {sigma2}, β = {beta}", active,
                 f"{expected} ± 1, as elbo inspect said before", abs(active - expected) <= 1)
claims.finish()
