#!/usr/bin/env python3
"""Draws are of every class and copies of nothing; draws of a conditional VAE are of the class asked.

    creator.py ELBO DATA

A classifier, trained here on the training images, judges the decoded means.
"""
import numpy as np

from trained import TrainedClaims

claims = TrainedClaims()
random = np.random.default_rng(0)


train, labels = (claims.mnist(f"train-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
test, test_labels = (claims.mnist(f"t10k-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))


class Classifier:
    """784-256-10 with ReLU, by Adam."""

    def __init__(self):
        self.weights = [random.normal(0, (2 / rows) ** 0.5, (rows, columns)).astype(np.float32)
                        for rows, columns in ((785, 256), (257, 10))]

    def forward(self, x):
        one = np.ones((len(x), 1), np.float32)
        x = np.hstack([x, one])
        hidden = np.hstack([np.maximum(x @ self.weights[0], 0), one])
        return x, hidden, hidden @ self.weights[1]

    def train(self, epochs=4, batch=128):
        memory = [[np.zeros_like(w), np.zeros_like(w)] for w in self.weights]
        step = 0
        for _ in range(epochs):
            order = random.permutation(len(train))
            for at in range(0, len(train), batch):
                rows = order[at:at + batch]
                x, hidden, scores = self.forward(train[rows])
                p = np.exp(scores - scores.max(1, keepdims=True))
                p /= p.sum(1, keepdims=True)
                p[np.arange(len(rows)), labels[rows]] -= 1
                p /= len(rows)
                back = (p @ self.weights[1].T)[:, :-1] * (hidden[:, :-1] > 0)
                step += 1
                for w, (m, v), g in zip(self.weights, memory, (x.T @ back, hidden.T @ p)):
                    m += 0.1 * (g - m)
                    v += 0.001 * (g * g - v)
                    w -= 1e-3 * (m / (1 - 0.9 ** step)) / (np.sqrt(v / (1 - 0.999 ** step)) + 1e-8)

    def classes(self, x):
        return self.forward(x.reshape(-1, 784).astype(np.float32))[2].argmax(1)


def nearest(points):
    """Of each point, the distance to the nearest training image."""
    squares = (train ** 2).sum(1)
    return np.concatenate([
        np.sqrt(np.maximum((squares - 2 * part @ train.T).min(1) + (part ** 2).sum(1), 0))
        for part in np.array_split(points.reshape(-1, 784).astype(np.float32), 10)])


judge = Classifier()
judge.train()
claims.note("classifier: test images told right",
            f"{100 * (judge.classes(test) == test_labels).mean():.2f} %")

images = claims.folder("mnist") / "train-images-idx3-ubyte.gz"
claims.train("vae", images, hidden=400, latent=10, epochs=10)
drawn = claims.sample("vae", 2000, mode="mean")
shares = np.bincount(judge.classes(drawn), minlength=10) / len(drawn)
usual = np.bincount(labels, minlength=10) / len(labels)
claims.note("classes of 2000 draws, %", ", ".join(f"{100 * share:.1f}" for share in shares))
claims.claim("rarest class among the draws", f"{100 * shares.min():.1f} %", "at least 3 %",
             shares.min() >= 0.03)
claims.note("total variation between their classes and those of the training images",
            f"{abs(shares - usual).sum() / 2:.3f}")

# A copy would be as near as the code lets it; a held-out image is as near as chance has it.
copies = nearest(claims.written("reconstruct", "vae", images)[:1000])
own, held_out = nearest(drawn[:1000]), nearest(test[:1000])
claims.note("median distance to the nearest training image: draws, held-out images, "
            "reconstructed training images",
            f"{np.median(own):.2f}, {np.median(held_out):.2f}, {np.median(copies):.2f}")
claims.claim("draws nearer to a training image than a tenth of reconstructed training images are",
             f"{100 * (own < np.quantile(copies, 0.1)).mean():.1f} %", "at most 10 %",
             (own < np.quantile(copies, 0.1)).mean() <= 0.1)

claims.train("conditional", images, condition="label", hidden=400, latent=10, epochs=10)
right = []
for digit in range(10):
    claims.elbo("sample", claims.path("conditional"), "-n", 200, "--condition", f"label={digit}",
                "--mode", "mean", "--out", claims.path("digit.npy"))
    right.append((judge.classes(np.load(claims.path("digit.npy"))) == digit).mean())
claims.note("by class, %", ", ".join(f"{100 * share:.1f}" for share in right))
claims.claim("conditional draws of the class that was asked", f"{100 * np.mean(right):.2f} %",
             "at least 95 %", np.mean(right) >= 0.95)
claims.finish()
