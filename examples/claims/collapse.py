#!/usr/bin/env python3
"""How many units a linear VAE keeps is known before it is trained: `elbo inspect` counts them.

    collapse.py ELBO DATA

With a Gaussian of variance σ² and the weight β on the KL, a direction of the data is kept where the
covariance's eigenvalue λ is above βσ² (Lucas et al. 2019), whatever the number of units.  Active is a
unit whose posterior's mean varies over the data with a variance above 0.01 (Burda et al. 2016), as
elbo says it; at the optimum that variance is 1 - βσ²/λ, so a direction less than 1 % above the
threshold is kept without being active, and the optimum's count stands beside.

MNIST's images, 50 units; and 12 columns of measurements of white wine, standardised, 12 units.  On
MNIST directions hardly above the threshold come and go slowly.  So β rises from 0: their units are
alive when the threshold reaches them, and have only to stay.
"""
import gzip
import json

import numpy as np

from trained import TrainedClaims

claims = TrainedClaims()


def collapses(name, data, rows, variance, betas, **training):
    spectrum = np.linalg.eigvalsh(np.cov(rows, rowvar=False))
    for beta in betas:
        known = int((spectrum > beta * variance).sum())
        told = json.loads(claims.elbo("inspect", data, "--sigma2", variance, "--beta", beta,
                                      "--json"))
        before = told["active_units"][0]["units"]
        claims.claim(f"collapse: {name}, beta {beta}: units that inspect says are kept", before,
                     f"{known} eigenvalues above {beta * variance:g}", before == known)
        claims.train("run", data, likelihood="gaussian", sigma=f"fixed:{variance ** 0.5:.9g}",
                     hidden="none", beta=beta, lr_schedule="cosine", **training)
        units = claims.units("run")
        kept = sum(unit.active for unit in units)
        optimum = int((spectrum > beta * variance / 0.99).sum())
        claims.claim(f"collapse: {name}, beta {beta}: active units of {len(units)}, at the optimum "
                     f"{optimum}", kept, f"{before} ± 1", abs(kept - before) <= 1)


images = claims.folder("mnist") / "train-images-idx3-ubyte.gz"
with gzip.open(images) as file:
    pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784) / np.float32(255)
for betas, epochs in (([1, 2], 100), ([4, 8], 60)):
    collapses("MNIST", images, pixels, 0.25, betas, latent=50, batch=500, lr=0.001, epochs=epochs,
              beta_warmup=epochs // 2)

wine = np.loadtxt(claims.folder("tables") / "winequality-white.csv", delimiter=",")
wine = (wine - wine.mean(0)) / wine.std(0)
collapses("wine", claims.save("wine", wine), wine, 0.25, [1, 2, 4, 8], latent=12, batch=128,
          lr=0.005, epochs=300)
claims.finish()
