#!/usr/bin/env python3
"""Writes activations.h: activations, their slopes and the functions below them by mpmath.

    pip install mpmath && tests/golden/make_activations.py

Every x is a number that a float holds exactly.
"""
import pathlib
from mpmath import mp, mpf, exp, expm1, log1p, tanh, erfc, sqrt, pi, diff

mp.dps = 60
POINTS = [mpf(x) for x in ("-30 -12.5 -8 -5 -3.25 -2 -1.5 -1 -0.75 -0.5 -0.25 -0.0625 "
                           "0.0625 0.125 0.375 0.5 1 1.25 2 2.5 4 6 9.5 17 30").split()]
POINTS += [mpf(s) * mpf(2) ** e for s in (1, -1) for e in (-10, -20)]
POINTS.sort()


def sigmoid(x): return 1 / (1 + exp(-x))
def softplus(x): return log1p(exp(x))
def normal(x): return erfc(-x / sqrt(2)) / 2
def density(x): return exp(-x * x / 2) / sqrt(2 * pi)
def leak(): return mpf("0.01")


# name: value, slope
ACTIVATIONS = {
    "identity": (lambda x: x, lambda x: mpf(1)),
    "relu": (lambda x: max(x, mpf(0)), lambda x: mpf(x > 0)),
    "leaky_relu": (lambda x: x if x > 0 else leak() * x, lambda x: mpf(1) if x > 0 else leak()),
    "elu": (lambda x: x if x > 0 else expm1(x), lambda x: mpf(1) if x > 0 else exp(x)),
    "tanh": (tanh, lambda x: 1 - tanh(x) ** 2),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "softplus": (softplus, sigmoid),
    "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
    "gelu": (lambda x: x * normal(x), lambda x: normal(x) + x * density(x)),
}
FUNCTIONS = {
    "exp": exp,
    "softplus": softplus,
    "sigmoid": sigmoid,
    "expm1_minus": lambda x: expm1(x) - x,
}
WIDE = [mpf(s) * mpf(x) for s in (-1, 1)
        for x in ("100 90 87.25 70 50.5 33 20 16.75 12 7.5 4 2.25 1.5 1 0.984375 0.75 0.5 0.34375 "
                  "0.125 0.015625").split()]
WIDE += [mpf(s) * mpf(2) ** e for s in (1, -1) for e in (-12, -24, -40)]
WIDE.sort()


def text(x):
    return mp.nstr(x, 17, min_fixed=0, max_fixed=0).replace("e+", "e").replace("e0", "")


lines = ["// Written by make_activations.py with mpmath, 60 digits; not to be edited.",
         "#pragma once", "", "namespace elbo::golden {", "",
         "struct ActivationPoint {", "  const char* name;", "  double x, value, slope, curvature;",
         "};", "inline constexpr ActivationPoint activations[] = {"]
for name, (value, slope) in ACTIVATIONS.items():
    for x in POINTS:
        assert abs(diff(value, x) - slope(x)) < mpf(10) ** -20, (name, x)
        lines.append("    {%s}," % ", ".join(['"%s"' % name, text(x), text(value(x)),
                                             text(slope(x)), text(diff(slope, x))]))
lines += ["};", "", "struct FunctionPoint {", "  const char* name;", "  double x, value, slope;",
          "};", "inline constexpr FunctionPoint functions[] = {"]
for name, value in FUNCTIONS.items():
    for x in WIDE:
        mp.dps = 120  # e^x - 1 - x cancels
        y, dy = value(x), diff(value, x)
        mp.dps = 60
        lines.append("    {%s}," % ", ".join(['"%s"' % name, text(x), text(y), text(dy)]))
lines += ["};", "", "}  // namespace elbo::golden", ""]
path = pathlib.Path(__file__).with_name("activations.h")
path.write_text("\n".join(lines))
print(path, len(lines), "lines")
