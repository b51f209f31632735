#!/usr/bin/env python3
"""Writes likelihoods.h: log-probabilities and scores by mpmath.

    pip install mpmath && tests/golden/make_likelihoods.py

Every input is rounded to a float first, so that a float build evaluates the very same point.
"""
import pathlib, struct
from mpmath import mp, mpf, exp, log, log1p, pi, diff

mp.dps = 120  # 90 - log(1 + e^90) cancels 40 of them


def single(x): return mpf(struct.unpack("f", struct.pack("f", x))[0])


def text(x):
    return mp.nstr(x, 17, min_fixed=0, max_fixed=0).replace("e+", "e").replace("e0", "")


def bernoulli(x, l): return x * l - (log1p(exp(-abs(l))) + max(l, mpf(0)))
def bernoulli_score(x, l): return x - 1 / (1 + exp(-l))


def gaussian(x, m, v): return -(log(2 * pi) + log(v) + (x - m) ** 2 / v) / 2


def raw(x, m, s, floor):
    v = floor ** 2 + exp(s)
    d = x - m
    return gaussian(x, m, v), d / v, (d ** 2 / v - 1) * exp(s) / v / 2


BERNOULLI = [(x, l) for x in (0, 1)
             for l in (-90, -40, -17.5, -3, -0.1, 0, 1e-4, 0.7, 5, 20, 88.5, 90)]
BERNOULLI += [(0.5, 0), (0.2, -1.3), (0.9, 2.2), (1 / 255, -5), (254 / 255, 6), (0.3, 90),
              (0.99, -90), (128 / 255, 1e-3), (0.6, 15), (0.004, -30)]
FLOOR = 1e-3
GAUSSIAN = [(0, 0, 0, FLOOR), (1, 0, 0, FLOOR), (-2.5, 1.5, 0.3, FLOOR), (0.1, 0.2, -3, FLOOR),
            (3, 3, -5, FLOOR), (3, 3.001, -10, FLOOR), (0.5, 0.501, -13.8155, FLOOR),
            (0.5, 0.5, -20, FLOOR), (0.25, 0.251, -40, FLOOR), (0.25, 0.75, -40, FLOOR),
            (1, 0, -90, FLOOR), (0, 0, -90, FLOOR), (7, -7, 4, FLOOR), (100, -100, 10, FLOOR),
            (1e3, 0, 20, FLOOR), (-1e3, 1e3, 12, FLOOR), (0, 1e-3, -12, FLOOR), (0, 0, 40, FLOOR),
            (5, 1, 40, FLOOR), (2, 1, 0, 0.5), (2, 1, -2, 0.5), (2, 1, -30, 0.5), (2, 1, -8, 0),
            (-0.7, 0.4, -1.75, 0.03125), (1e-3, 2e-3, -13.8, FLOOR)]
FIXED = [(0, 0, 1), (1, 0, 1), (-3, 4, 1), (0.5, 0.25, 0.1), (0.5, 0.5, 0.1), (0.9, 0.1, 0.03),
         (1e-3, 2e-3, 1e-3), (100, -50, 7), (12, 12.5, 1e3), (1, 1, 1e-4), (2e4, 1e4, 100),
         (0.3, 0.7, 0.25), (-1, -1.0625, 0.0078125), (0, 30, 1), (6, 0, 2), (0.1, 0.2, 0.4),
         (255, 0, 16), (-1e-4, 1e-4, 0.01), (4, 1, 1.5), (0.75, -0.75, 0.6)]

lines = ["// Written by make_likelihoods.py with mpmath, 120 digits; not to be edited.",
         "#pragma once", "", "namespace elbo::golden {", ""]


def table(kind, name, fields, rows):
    lines.extend(["struct %s {" % kind, "  double %s;" % fields, "};",
                  "inline constexpr %s %s[] = {" % (kind, name)])
    lines.extend("    {%s}," % ", ".join(text(v) for v in row) for row in rows)
    lines.extend(["};", ""])


rows = []
for x, l in ([single(v) for v in row] for row in BERNOULLI):
    rows.append((x, l, bernoulli(x, l), bernoulli_score(x, l)))
    if l != 0: assert abs(diff(lambda t: bernoulli(x, t), l) - rows[-1][3]) < mpf(10) ** -15
table("BernoulliPoint", "bernoulli", "x, logit, log_prob, score", rows)
rows = []
for x, m, s, floor in ([single(v) for v in row] for row in GAUSSIAN):
    p, dm, ds = raw(x, m, s, floor)
    for d, g in ((lambda t: raw(x, t, s, floor)[0], dm), (lambda t: raw(x, m, t, floor)[0], ds)):
        at = m if g is dm else s
        assert abs(diff(d, at) - g) < mpf(10) ** -12 * max(1, abs(g)), (x, m, s, g)
    rows.append((x, m, s, floor, p, dm, ds))
table("GaussianPoint", "gaussian", "x, mean, raw, floor, log_prob, score_mean, score_raw", rows)
rows = [(x, m, sigma, gaussian(x, m, sigma ** 2), (x - m) / sigma ** 2)
        for x, m, sigma in ([single(v) for v in row] for row in FIXED)]
table("FixedGaussianPoint", "fixed_gaussian", "x, mean, sigma, log_prob, score", rows)
lines += ["}  // namespace elbo::golden", ""]
path = pathlib.Path(__file__).with_name("likelihoods.h")
path.write_text("\n".join(lines))
print(path, len(lines), "lines")
