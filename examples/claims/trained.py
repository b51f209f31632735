"""Claims about models that a script trains on its own numbers, and what they make of them."""
import gzip
import json
import pathlib
from typing import NamedTuple

import numpy as np

from claims import Claims


class Unit(NamedTuple):
    """Of the latent space, as elbo traverse says it: by the first 4000 training data."""
    number: int
    kl: float  # nats
    variance: float  # of the posterior's mean, over the data
    active: bool  # that is above 0.01


class TrainedClaims(Claims):
    def save(self, name, rows):
        """Numbers as a file that elbo reads; its path."""
        rows = np.asarray(rows)
        rows = rows if rows.dtype == np.uint8 else rows.astype(np.float32)
        np.save(self.path(f"{name}.npy"), np.ascontiguousarray(rows))
        return self.path(f"{name}.npy")

    def folder(self, name):
        return pathlib.Path(self.data) / name

    def mnist(self, name):
        """Images [n,784] in 0 … 1, or labels, of one of its four files."""
        with gzip.open(self.folder("mnist") / f"{name}.gz") as file:
            content = file.read()
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
        return values.reshape(-1, 784) / np.float32(255) if content[3] == 3 else values

    def train(self, run, data, **options):
        """elbo train; an option a_b is the flag --a-b."""
        words = [word for name, value in options.items()
                 for word in (f"--{name.replace('_', '-')}", value)]
        self.elbo("train", data, "--out", self.path(run), "--force", *words)

    def evaluate(self, run, data, samples=0):
        more = ["--importance-samples", samples] if samples else []
        return json.loads(self.elbo("evaluate", self.path(run), "--data", data, "--json", *more))

    def written(self, command, run, *words):
        out = self.path("out.npy")
        self.elbo(command, self.path(run), *words, "--out", out)
        return np.load(out)

    def encode(self, run, data):
        return self.written("encode", run, data)

    def decode(self, run, latents):
        return self.written("decode", run, self.save("latents", latents))

    def sample(self, run, count, mode="sample", latents="prior"):
        return self.written("sample", run, "-n", count, "--mode", mode, "--from", latents)

    def units(self, run):
        """The unit of the largest KL first."""
        lines = self.elbo("traverse", self.path(run), "--out", self.path("walk.csv")).splitlines()
        return [Unit(int(number), float(kl), float(variance), active == "yes")
                for number, kl, variance, active in map(str.split, lines[1:])]

    def note(self, what, figure):
        """A figure that nothing is asked of."""
        print(f"{what}: {figure}", flush=True)


def ranks(values):
    """From 1, ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def spearman(a, b):
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def log_mean(log_terms, weights):
    """log Σ_k w_k e^(l_k) of each row."""
    terms = log_terms + np.log(weights)
    top = terms.max(1)
    return top + np.log(np.exp(terms - top[:, None]).sum(1))


def responsibilities(log_terms, weights):
    return np.exp(log_terms + np.log(weights) - log_mean(log_terms, weights)[:, None])
