"""MNIST's test images with 30 % salt and pepper: a denoising model against principal components."""
import gzip
import json

import numpy as np

from claims import Claims

claims = Claims()
noise = ("--corrupt", "salt:0.3")


def images(part):
    return f"{claims.data}/mnist/{part}-images-idx3-ubyte.gz"


def pixels(part):
    with gzip.open(images(part)) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784) / np.float32(255)


run, out = claims.path("run"), claims.path("restored.npy")
claims.elbo("train", images("train"), "--out", run, *noise, "--hidden", 400, "--latent", 32,
            "--epochs", 5)
errors = json.loads(claims.elbo("restore", run, images("t10k"), "--out", out, *noise, "--json"))
drawn = json.loads(claims.elbo("restore", run, images("t10k"), "--out", claims.path("drawn.npy"),
                               *noise, "--samples", 10, "--json"))["restored_squared_error"]
restored, corrupted = errors["restored_squared_error"], errors["corrupted_squared_error"]

clean, test = pixels("train"), pixels("t10k")
middle = clean.mean(0)
axes = np.linalg.eigh(np.cov(clean, rowvar=False))[1][:, -50:]
random = np.random.default_rng(4)
word = random.random(test.shape)
spoilt = np.where(word < 0.15, 0, np.where(word < 0.3, 1, test))
projected = np.mean(np.sum(((spoilt - middle) @ axes @ axes.T + middle - test) ** 2, 1))
error = np.mean(np.sum((np.load(out) - test) ** 2, 1))

claims.claim("squared error of a restored image", f"{restored:.2f}",
             f"below half of the corrupted one's, {corrupted / 2:.2f}", restored < corrupted / 2)
claims.claim("squared error of a restored image", f"{error:.2f}",
             f"below that of 50 principal components, {projected:.2f}", error < projected)
claims.claim("squared error at the posterior's mean, the default", f"{restored:.2f}",
             f"at most that of a mean over 10 draws, {drawn:.2f}", restored <= drawn)
claims.finish()
