#!/usr/bin/env python3
"""The lower half of a digit from its upper half: a model of two domains against linear regression.

    halves.py ELBO DATA

Squared errors of the 392 pixels in 0 … 1, summed; those of the mean image and of least squares from
the first 50 principal components of the upper half beside that of elbo translate.
"""
import numpy as np

from trained import TrainedClaims

claims = TrainedClaims()


def regression(x, y, given, components=50):
    """Least squares of y on the first principal components of x, at `given`."""
    centre, mean = x.mean(0), y.mean(0)
    _, axes = np.linalg.eigh((x - centre).T @ (x - centre))
    axes = axes[:, ::-1][:, :components]
    slopes = np.linalg.lstsq((x - centre) @ axes, y - mean, rcond=None)[0]
    return mean + (given - centre) @ axes @ slopes


def halves(name):
    images = claims.mnist(f"{name}-images-idx3-ubyte")
    return images[:, :392], images[:, 392:]


def saved(name, half):
    """As grey levels of 14 x 28 pixels."""
    return claims.save(name, np.round(255 * half).astype(np.uint8).reshape(-1, 14, 28))


(upper, lower), (given, truth) = halves("train"), halves("t10k")
claims.train("halves", saved("upper", upper), **{"with": saved("lower", lower)}, hidden="400,200",
             latent=10, lr_schedule="cosine", epochs=15)
translated = claims.written("translate", "halves", saved("given", given), "--to", "B")


def error(predicted):
    return float(((predicted - truth) ** 2).sum(1).mean())


claims.note("lower half: squared error of the mean image", f"{error(lower.mean(0)):.2f}")
linear, own = error(regression(upper, lower, given)), error(translated.reshape(len(truth), -1))
claims.claim("lower half from the upper: squared error of elbo translate", f"{own:.2f}",
             f"below that of regression on 50 principal components, {linear:.2f}", own < linear)
claims.finish()
