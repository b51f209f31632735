#!/usr/bin/env python3
"""The latent space is a smooth map: straight lines have no jumps, dead units do nothing.

    smooth_map.py ELBO DATA
"""
import csv
import math
import re

from claims import Claims

claims = Claims()
images = f"{claims.data}/mnist/train-images-idx3-ubyte.gz"
test = f"{claims.data}/mnist/t10k-images-idx3-ubyte.gz"
run = claims.path("vae")
claims.elbo("train", images, "--out", run, "--hidden", "400", "--latent", 20, "--epochs", 5)

printed = claims.elbo("interpolate", run, test, "--pairs", 100)
largest = float(re.search(r"largest (\d+\.\d+)$", printed.strip()).group(1))
claims.claim("largest step between two codes, 100 pairs", f"{largest:.2f} median steps", "<= 3",
             largest <= 3)


# A heavier KL, so that there are units that nothing is stored in.
heavy = claims.path("heavy")
claims.elbo("train", images, "--out", heavy, "--hidden", "128", "--latent", 20, "--epochs", 30,
            "--beta", 4, "--lr", 0.002, "--lr-schedule", "cosine")


def moved(unit):
    """How far the decoded mean moves, any pixel, while the unit goes from -3 to 3."""
    table = claims.path("unit.csv")
    claims.elbo("traverse", heavy, "--unit", unit, "--out", table)
    with open(table, newline="") as file:
        rows = [[float(cell) for cell in row[2:]] for row in list(csv.reader(file))[1:]]
    return max(max(column) - min(column) for column in zip(*rows))


ranking = claims.elbo("traverse", heavy, "--out", claims.path("all.png")).splitlines()[1:]
units = [line.split() for line in ranking]  # unit, KL, variance, active; the largest KL first
top, dead = units[0], [unit for unit in units if unit[3] == "no"]
far = moved(top[0])
near = max((moved(unit[0]) for unit in dead), default=math.nan)
claims.claim(f"largest move of a pixel by a dead unit ({len(dead)} of {len(units)})",
             f"{near:.2e}", "< 1e-3", near < 1e-3)
claims.claim("and by the top unit", f"{far / near:.0f} times that", "> 10", far > 10 * near)
claims.finish()
