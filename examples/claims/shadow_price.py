#!/usr/bin/env python3
"""The weight of the KL is the price of information: of a linear VAE exactly, on MNIST by its slope.

    shadow_price.py ELBO DATA

Data with the covariance eigenvalues 4, 2, 1, 0.5, 0.25 and a decoder of variance 0.3: what a linear
VAE comes to for each beta, each budget of nats and each bound on the squared error is known by
reverse water-filling.  On MNIST, where no formula knows it, slopes come with the standard error that
their scatter over seeds gives.
"""
import json
import math
import random

from claims import Claims

EIGENVALUES, VARIANCE = [4, 2, 1, 0.5, 0.25], 0.3
SEEDS = [0, 1, 2]


def known_spectrum(rows):
    """Data whose mean is 0 and whose covariance is diag(EIGENVALUES), by Gram-Schmidt."""
    random.seed(1)
    columns = []
    for eigenvalue in EIGENVALUES:
        column = [random.gauss(0, 1) for _ in range(rows)]
        mean = sum(column) / rows
        column = [x - mean for x in column]
        for other in columns:
            part = sum(a * b for a, b in zip(column, other)) / sum(b * b for b in other)
            column = [a - part * b for a, b in zip(column, other)]
        size = math.sqrt(sum(a * a for a in column) / rows)
        columns.append([a / size * math.sqrt(eigenvalue) for a in column])
    return zip(*columns)


def filled(level):
    """Rate, squared error and active units where directions below the level are given up."""
    kept = [e for e in EIGENVALUES if e > level]
    return (sum(math.log(e / level) for e in kept) / 2,
            sum(min(e, level) for e in EIGENVALUES), len(kept))


def level_of(value, index):
    """The level at which filled(level)[index] has that value, by bisection."""
    low, high = 1e-6, 4
    for _ in range(200):
        middle = (low + high) / 2
        too_high = (filled(middle)[index] < value) == (index == 0)
        low, high = (low, middle) if too_high else (middle, high)
    return low


claims = Claims()
with open(claims.path("known.csv"), "w") as out:
    out.write("".join(",".join(f"{x:.9g}" for x in row) + "\n" for row in known_spectrum(1000)))
LINEAR = [claims.path("known.csv"), "--hidden", "none", "--latent", 5, "--likelihood", "gaussian",
          "--sigma", f"fixed:{math.sqrt(VARIANCE):.9g}", "--batch", 250, "--lr", 0.02,
          "--lr-schedule", "cosine", "--epochs", 1500]
CONSTANT = len(EIGENVALUES) / 2 * math.log(2 * math.pi * VARIANCE)


def trained(*words):
    """The rate, squared error and beta that a training ends with."""
    claims.elbo("train", *LINEAR, *words, "--out", claims.path("run"), "--force")
    with open(claims.path("run/metrics.jsonl")) as metrics:
        last = json.loads(metrics.readlines()[-1])
    return last["kl"], 2 * VARIANCE * (-last["log_likelihood"] - CONSTANT), last["beta"]


def within(name, got, known, share):
    claims.claim(name, f"{got:.4f}, exactly {known:.4f}", f"within {100 * share:g} %",
                 abs(got - known) <= share * known)


for beta in [0.5, 1, 2, 4, 8]:
    rate, squares, _ = trained("--beta", beta)
    within(f"beta {beta}: rate", rate, filled(beta * VARIANCE)[0], 0.02)
    within(f"beta {beta}: squared error", squares, filled(beta * VARIANCE)[1], 0.02)
for nats in [0.5, 1, 2, 3]:
    _, _, beta = trained("--rate-budget", nats)
    within(f"budget of {nats} nats: shadow price", beta, level_of(nats, 0) / VARIANCE, 0.02)
for squares in [1.5, 2.5, 4]:
    rate, _, beta = trained("--target-error", squares)
    level = level_of(squares, 1)
    within(f"squared error {squares}: GECO's multiplier", 1 / (2 * VARIANCE * beta),
           1 / (2 * level), 0.02)
    within(f"squared error {squares}: rate", rate, filled(level)[0], 0.02)



def mean_and_error(values):
    """The mean, and its standard error by the values' scatter."""
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(squares / (len(values) - 1) / len(values))


sweeps = []
for seed in SEEDS:
    claims.elbo("sweep", f"{claims.data}/mnist/train-images-idx3-ubyte.gz", "--betas",
                "0.7,1,1.4,2,2.8", "--epochs", 8, "--lr-schedule", "cosine", "--seed", seed,
                "--out", claims.path(f"sweep-{seed}"))
    with open(claims.path(f"sweep-{seed}/sweep.json")) as file:
        sweeps.append(json.load(file))
betas = [between["beta"] for between in sweeps[0]["between"]]
slopes = [[sweep["between"][i]["slope"] for sweep in sweeps] for i in range(len(betas))]
for beta, of_seeds in zip(betas, slopes):
    slope, error = mean_and_error(of_seeds)
    claims.claim(f"MNIST: -dD/dR at beta {beta:.3f}",
                 f"{slope:.3f} ± {error:.3f}, {100 * (slope / beta - 1):+.1f} %",
                 "within 10 %, also 2 standard errors further off",
                 abs(slope - beta) + 2 * error <= 0.1 * beta)
points = [[sweep["points"][i] for sweep in sweeps] for i in range(len(betas) + 1)]
rates, distortions = ([mean_and_error([p[of] for p in of_seeds]) for of_seeds in points]
                      for of in ("rate", "distortion"))
claims.claim("MNIST: R falls and D rises with beta",
             ", ".join(f"{r:.1f} ± {dr:.1f} / {d:.1f} ± {dd:.1f}"
                       for (r, dr), (d, dd) in zip(rates, distortions)), "yes, with each seed",
             all(a["rate"] > b["rate"] and a["distortion"] < b["distortion"]
                 for low, high in zip(points, points[1:]) for a, b in zip(low, high)))
steps = [mean_and_error([b - a for a, b in zip(low, high)])
         for low, high in zip(slopes, slopes[1:])]
claims.claim("MNIST: the curve is convex: steps from each slope to the next",
             ", ".join(f"{step:+.3f} ± {error:.3f}" for step, error in steps),
             "above 0 by 2 standard errors", all(step > 2 * error for step, error in steps))
claims.finish()
