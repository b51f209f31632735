#!/usr/bin/env python3
"""The lower half of a digit from its upper half: a model of two domains against linear regression.

    halves.py MNIST_FOLDER ELBO WORK_FOLDER [--epochs N] [--train N] [--device NAME]

MNIST_FOLDER holds the four idx files, perhaps in .gz.  Trains on the 60000 training digits as
392 + 392 pixels (`elbo train UPPER --with LOWER`), translates the upper halves of the 10000 test
digits, and prints the mean squared error (pixels in 0 ... 1, summed over the 392) of three
predictions of their lower halves: the mean image, least squares from the first 50 principal
components of the upper half, and the translation.  Exit code 1 unless the translation's is the
smallest.  WORK_FOLDER keeps the run, and halves.png: upper halves as given, with true, translated
and regressed lower halves below them.  Needs numpy.
"""

import argparse
import gzip
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np


def images(folder, name):
    path = folder / name
    raw = path.read_bytes() if path.exists() else gzip.open(folder / (name + ".gz")).read()
    _, count, height, width = struct.unpack(">4I", raw[:16])
    return np.frombuffer(raw, np.uint8, offset=16).reshape(count, height, width)


def write_png(path, grey):
    """grey [H,W] in 0 ... 1"""
    levels = np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in levels)

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))

    head = struct.pack(">2I5B", levels.shape[1], levels.shape[0], 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def regression(x, y, given, components=50):
    """Least squares of y on the first principal components of x, at `given`."""
    centre, mean = x.mean(0), y.mean(0)
    _, axes = np.linalg.eigh((x - centre).T @ (x - centre))
    axes = axes[:, ::-1][:, :components]
    slopes = np.linalg.lstsq((x - centre) @ axes, y - mean, rcond=None)[0]
    return mean + (given - centre) @ axes @ slopes


def main():
    command = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    command.add_argument("mnist", type=Path)
    command.add_argument("elbo", type=Path)
    command.add_argument("work", type=Path)
    command.add_argument("--epochs", default="15")
    command.add_argument("--train", type=int, default=60000, help="the first so many digits")
    command.add_argument("--device", default="auto")
    args = command.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    train = images(args.mnist, "train-images-idx3-ubyte")[:args.train]
    test = images(args.mnist, "t10k-images-idx3-ubyte")
    files = {}
    for name, digits in ("train", train), ("test", test):
        for half, rows in ("upper", digits[:, :14]), ("lower", digits[:, 14:]):
            files[name, half] = str(args.work / f"{name}-{half}.npy")
            np.save(files[name, half], rows)

    def elbo(*words):
        subprocess.run([str(args.elbo), *words], check=True)

    run, translated = str(args.work / "run"), str(args.work / "lower.npy")
    elbo("train", files["train", "upper"], "--with", files["train", "lower"], "--out", run,
         "--force", "--epochs", args.epochs, "--hidden", "400,200", "--latent", "10",
         "--lr-schedule", "cosine", "--device", args.device)
    elbo("translate", run, files["test", "upper"], "--to", "B", "--out", translated,
         "--device", args.device)

    def halves(digits):
        flat = digits.reshape(len(digits), 784) / 255.0
        return flat[:, :392], flat[:, 392:]

    (upper, lower), (given, truth) = halves(train), halves(test)
    answers = {
        "mean image": np.broadcast_to(lower.mean(0), truth.shape),
        "PCA regression": regression(upper, lower, given),
        "elbo translate": np.load(translated),
    }
    errors = {name: float(((x - truth)**2).sum(1).mean()) for name, x in answers.items()}
    for name, error in errors.items():
        print(f"{name:<16}{error:8.3f}")

    def strip(lower_halves, count=20):
        return np.hstack([np.vstack([u.reshape(14, 28), l.reshape(14, 28)])
                          for u, l in zip(given[:count], lower_halves[:count])])

    write_png(args.work / "halves.png",
              np.vstack([strip(x) for x in (truth, answers["elbo translate"],
                                            answers["PCA regression"])]))
    return 0 if errors["elbo translate"] == min(errors.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
