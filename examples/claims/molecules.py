"""Fingerprints of molecules: a VAE against independent bits and a mixture of 16 molecules' kinds.

ECFP4 fingerprints of 1024 bits of ESOL (1128) and BACE (1522 molecules), a random 80/20 split of
seed 0.  The NLL by 500 importance samples is an upper bound of the model's own; the mixture is fitted
by EM, its smoothing (towards the training part's frequencies) chosen on a fifth of the training part.
"""
import numpy as np

from trained import TrainedClaims, log_mean, responsibilities

claims = TrainedClaims()
SMOOTHING = [1, 3, 10, 30, 100]


def independent(train, test):
    rate = (train.sum(0) + 0.5) / (len(train) + 1)
    return -(test @ np.log(rate) + (1 - test) @ np.log(1 - rate)).mean()


def terms(bits, rates):
    return bits @ np.log(rates).T + (1 - bits) @ np.log(1 - rates).T


def mixture(train, test, strength, components=16):
    """The held-out nats of a Bernoulli mixture; each rate has `strength` molecules more, of all."""
    common = (train.sum(0) + 0.5) / (len(train) + 1)
    random = np.random.default_rng(0)
    rates = np.clip(0.7 * common + 0.3 * random.random((components, train.shape[1])), 0.01, 0.99)
    weights = np.full(components, 1 / components)
    for _ in range(60):
        share = responsibilities(terms(train, rates), weights)
        size = share.sum(0) + 1e-9
        weights = size / size.sum()
        rates = (share.T @ train + strength * common) / (size[:, None] + strength)
        rates = np.clip(rates, 1e-6, 1 - 1e-6)
    return -log_mean(terms(test, rates), weights).mean()


for name in ["esol_1128", "bace_1522"]:
    packed = np.load(claims.folder("molecules") / f"{name}_ecfp4_1024_packed.npy")
    bits = np.unpackbits(packed, axis=1)
    bits = bits[np.random.default_rng(0).permutation(len(bits))]
    cut = len(bits) * 4 // 5
    train, test = bits[:cut].astype(float), bits[cut:].astype(float)
    inner = cut * 4 // 5
    strength = min(SMOOTHING, key=lambda s: mixture(train[:inner], train[inner:], s))
    apart, mixed = independent(train, test), mixture(train, test, strength)

    claims.train(name, claims.save("train", bits[:cut]), hidden=256, latent=16, dropout=0.1,
                 batch=64, lr=0.002, epochs=60)
    nats = claims.evaluate(name, claims.save("test", bits[cut:]), samples=500)["nll"]
    claims.claim(f"{name}: held-out nats a molecule", f"{nats:.2f}",
                 f"below independent bits, {apart:.2f}", nats < apart)
    claims.claim(f"{name}: held-out nats a molecule", f"{nats:.2f}",
                 f"below a mixture of 16 with smoothing {strength}, {mixed:.2f}", nats < mixed)
claims.finish()
