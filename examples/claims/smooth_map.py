#!/usr/bin/env python3
"""The latent space is a smooth map: straight lines have no jumps, dead units do next to nothing.

    smooth_map.py ELBO DATA

A unit is moved from -3 to 3, the others at 0; a pixel's change is its range on the way, in units of
the brightest grey.  Dead are the units that `elbo traverse` does not call active.  For these a linear
decoder is trained (Gaussian, σ = 1): it has dead units for sure, one for each eigenvalue below 1.
What still moves there is what stochastic gradients left: a weight of a unit that is pure noise is a
regression of the residual r on N draws, good to r/√N: for 1e-3 of a pixel on average it takes some
10^6 draws that the last, small steps average over, so the training is long and its batches are large;
the worst of 784 pixels would take some 10^7.
"""
import re

import numpy as np

from trained import TrainedClaims

claims = TrainedClaims()
images = claims.folder("mnist") / "train-images-idx3-ubyte.gz"
test = claims.folder("mnist") / "t10k-images-idx3-ubyte.gz"

claims.train("run", images, hidden=400, latent=20, epochs=5)
printed = claims.elbo("interpolate", claims.path("run"), test, "--pairs", 100)
largest = float(re.search(r"largest (\d+\.\d+)$", printed.strip()).group(1))
claims.claim("smooth map: largest step between two codes, 100 pairs", f"{largest:.2f} median steps",
             "at most 3", largest <= 3)

claims.train("linear", images, likelihood="gaussian", sigma="fixed:1", hidden="none", latent=20,
             epochs=1000, batch=1000, lr=0.0003, lr_schedule="cosine")
units = claims.units("linear")


def moved(unit):
    """How far each pixel of the decoded mean moves."""
    walk = claims.written("traverse", "linear", "--unit", unit.number)
    return walk.max(0) - walk.min(0)


top, dead = moved(units[0]), [moved(unit) for unit in units if not unit.active]
if not dead:
    claims.claim("smooth map: units that are dead", 0, "at least 1", False)
    claims.finish()
least = min(dead, key=np.mean)
claims.note("smooth map: units that are dead", f"{len(dead)} of {len(units)}; a pixel moves by "
            f"{min(d.mean() for d in dead):.1e} to {max(d.mean() for d in dead):.1e} on average, "
            f"by {min(d.max() for d in dead):.1e} to {max(d.max() for d in dead):.1e} at most")
claims.claim("smooth map: change by the unit that is most dead, mean over pixels",
             f"{least.mean():.2e}", "below 1e-3", least.mean() < 1e-3)
for norm, of in (("mean over pixels", np.mean), ("largest of the pixels", np.max)):
    worst = max(map(of, dead))
    claims.claim(f"smooth map: and by the top unit, {norm}",
                 f"{of(top):.3f}, {of(top) / worst:.0f} times that of any dead unit", "above 10",
                 of(top) > 10 * worst)
claims.finish()
