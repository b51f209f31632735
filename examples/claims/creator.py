#!/usr/bin/env python3
"""A VAE makes digits: of every class, none copied, and, if it is told a class, of that class.

    creator.py ELBO DATA

What class an image is of says a classifier of the pixels (784-256-10, fitted here to the training
images).  Made images are the decoder's mean, grey as MNIST's own; a Bernoulli's draws are
speckled.  As that mean is smoother than an image, nearest neighbours are also looked for of test
images that went through the model.

Told a class, a decoder makes it of a draw as far as codes of that class fill the prior; elsewhere it
has not seen the two together.  At beta 1 they do not, after this training; a heavier KL helps.
"""
import numpy as np

from trained import TrainedClaims

claims = TrainedClaims()
random = np.random.default_rng(0)


def classifier(x, y, epochs=6, batch=128, hidden=256):
    """Two layers by Adam, the step falling to 0; the most probable class."""
    sizes = [(784, hidden), (hidden,), (hidden, 10), (10,)]
    weights = [(random.standard_normal(s) * (s[0] / 2) ** -0.5 * (len(s) == 2)).astype(np.float32)
               for s in sizes]
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    steps = epochs * (len(x) // batch)

    def forward(rows):
        inner = np.maximum(rows @ weights[0] + weights[1], 0)
        return inner, inner @ weights[2] + weights[3]

    for step in range(steps):
        if step % (len(x) // batch) == 0:
            order = random.permutation(len(x))
        chosen = order[step % (len(x) // batch) * batch:][:batch]
        inner, logits = forward(x[chosen])
        d = np.exp(logits - logits.max(1, keepdims=True))
        d /= d.sum(1, keepdims=True)
        d[np.arange(batch), y[chosen]] -= 1
        d /= batch
        below = d @ weights[2].T * (inner > 0)
        rate = 0.002 * (1 - step / steps)
        for w, g, m, v in zip(weights, (x[chosen].T @ below, below.sum(0), inner.T @ d, d.sum(0)),
                              first, second):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            size = np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-8
            w -= rate * m / (1 - 0.9 ** (step + 1)) / size
    return lambda rows: forward(rows)[1].argmax(1)


def nearest(rows, others):
    """Distance of each row to the nearest of the others."""
    sizes, found = (others ** 2).sum(1), np.full(len(rows), np.inf, np.float32)
    for part in range(0, len(others), 10000):
        cross = rows @ others[part:part + 10000].T
        found = np.minimum(found, (sizes[part:part + 10000] - 2 * cross).min(1))
    return np.sqrt(np.maximum(found + (rows ** 2).sum(1), 0))


train, test = (claims.mnist(f"{part}-images-idx3-ubyte") for part in ("train", "t10k"))
labels, known = (claims.mnist(f"{part}-labels-idx1-ubyte") for part in ("train", "t10k"))
class_of = classifier(train, labels)
claims.note("creator: the classifier is right of test images",
            f"{100 * (class_of(test) == known).mean():.2f} %")
data = claims.folder("mnist") / "train-images-idx3-ubyte.gz"
training = dict(hidden=400, batch=128, lr_schedule="cosine", epochs=10)

claims.train("run", data, latent=10, **training)
made = claims.sample("run", 10000, "mean")
shares = np.bincount(class_of(made), minlength=10) / len(made)
of_data = np.bincount(labels, minlength=10) / len(labels)
claims.note("creator: % of 10000 draws from the prior, classes 0 to 9",
            " ".join(f"{100 * share:.1f}" for share in shares))
claims.claim("creator: the rarest class among them", f"{100 * shares.min():.1f} %",
             "at least 5 %, half of an equal share", shares.min() >= 0.05)
chi2 = len(made) * ((shares - of_data) ** 2 / of_data).sum()
claims.note("creator: their shares against those of the training images",
            f"total variation {abs(shares - of_data).sum() / 2:.3f}, chi² {chi2:.0f} of 9 degrees")

through = claims.written("reconstruct", "run",
                         claims.folder("mnist") / "t10k-images-idx3-ubyte.gz")
kinds = {"images made": made, "test images": test, "test images through the model": through}
distances = {what: nearest(rows[:2000], train) for what, rows in kinds.items()}
for what, found in distances.items():
    claims.note(f"creator: distance of {what} to the nearest training image, median",
                f"{np.median(found):.2f}")
for what in ("test images", "test images through the model"):
    near = np.quantile(distances[what], 0.01)
    copies = (distances["images made"] < near).mean()
    claims.claim(f"creator: images made that are nearer to a training image than 99 % of {what}",
                 f"{100 * copies:.2f} % (below {near:.2f})", "at most 2 %", copies <= 0.02)


def told(beta):
    """Of 1000 draws for each class, told it, the share that are of it."""
    claims.train("told", data, latent=10, condition="label", beta=beta,
                 **training | {"hidden": "400,400"})
    right = []
    for digit in range(10):
        draws = claims.written("sample", "told", "-n", 1000, "--condition", f"label={digit}",
                               "--mode", "mean", "--seed", digit)
        right.append((class_of(draws) == digit).mean())
    return right


claims.note("creator: told a class, beta 1, % of that class",
            f"{100 * np.mean(told(1)):.2f}")
right = told(2)
claims.note("creator: told a class, beta 2, % of that class, 0 to 9",
            " ".join(f"{100 * share:.1f}" for share in right))
claims.claim("creator: of 10 x 1000 images told a class, those of that class, beta 2",
             f"{100 * np.mean(right):.2f} %", "at least 95 %", np.mean(right) >= 0.95)
claims.finish()
