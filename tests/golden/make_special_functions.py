#!/usr/bin/env python3
"""Writes special_functions.h: logarithms, exponentials and Stirling's error by mpmath.

    pip install mpmath && tests/golden/make_special_functions.py
    tests/golden/make_special_functions.py --fit      prints the polynomials of kernels/math

Every input is rounded to a float first, so that a float function evaluates the very same point.
"""
import pathlib, random, struct, sys
from mpmath import mp, mpf, atanh, cos, exp, expm1, log, log1p, loggamma, lu_solve, matrix, pi, psi, sin, sqrt, tanh

mp.dps = 120  # Stirling's error at 1e30 cancels 64 of them


def single(x): return mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def stirling_error(z): return loggamma(z) - (z - mpf(1) / 2) * log(z) + z - log(2 * pi) / 2
def stirling_error_slope(z): return psi(0, z) + 1 / (2 * z) - log(z)


# The polynomials: (name, function, from, to, degree); a limit stands where 0/0 would.

def artanh_tail(u): return (atanh(sqrt(u)) / sqrt(u) - 1) / u if u else mpf(1) / 3
def exp_tail(r): return (exp(r) - 1 - r - r * r / 2) / r ** 3 if r else mpf(1) / 6
def stirling_error_by_t(t): return stirling_error(1 / t) / t if t else mpf(1) / 12
def sine_by_r(w): return sin(pi / 2 * sqrt(w)) / sqrt(w) if w else pi / 2
def cosine_tail(w): return (cos(pi / 2 * sqrt(w)) - 1) / w if w else -pi ** 2 / 8
def tanh_tail(u): return (tanh(sqrt(u)) / sqrt(u) - 1) / u if u else mpf(-1) / 3
def slope_by_t2(t): return stirling_error_slope(1 / t) / t ** 2 if t else mpf(-1) / 12


FITS = [("exp_tail", exp_tail, -0.3468, 0.3468, 4), ("artanh_tail", artanh_tail, 0, 0.36, 6),
        ("tanh_tail", tanh_tail, 0, 0.4, 4),
        ("sin(pi/2 r) / r, of r^2", sine_by_r, 0, 0.25, 4),
        ("(cos(pi/2 r) - 1) / r^2, of r^2", cosine_tail, 0, 0.25, 3),
        ("stirling_error / t", stirling_error_by_t, 0, 1, 6),
        ("stirling_error_slope / t^2", slope_by_t2, 0, 1, 8)]


def value(c, x): return mp.polyval(c[::-1], x)


def fit(f, a, b, degree):
    """Coefficients from the constant up of the least relative error, by Remez' exchange."""
    grid = [mpf(a + b) / 2 - mpf(b - a) / 2 * cos(pi * i / 600) for i in range(601)]
    grid = [x if abs(x) > mpf(10) ** -30 else mpf(0) for x in grid]
    exact = {x: f(x) for x in grid}
    count = degree + 2
    points = [grid[round(600 * i / (count - 1))] for i in range(count)]
    for _ in range(20):
        system = matrix(count, count)
        for i, x in enumerate(points):
            for j in range(count - 1): system[i, j] = x ** j
            system[i, count - 1] = (-1) ** i * abs(exact[x])
        *c, level = lu_solve(system, matrix([exact[x] for x in points]))
        error = {x: (exact[x] - value(c, x)) / abs(exact[x]) for x in grid}
        extrema = []
        for x in grid:
            if not extrema or (error[x] > 0) != (error[extrema[-1]] > 0): extrema.append(x)
            elif abs(error[x]) > abs(error[extrema[-1]]): extrema[-1] = x
        while len(extrema) > count:
            extrema.pop(0 if abs(error[extrema[0]]) < abs(error[extrema[-1]]) else -1)
        if max(map(abs, error.values())) < abs(level) * mpf("1.01") or len(extrema) < count: break
        points = extrema
    c = [single(x) for x in c]
    return c, max(abs(value(c, x) / exact[x] - 1) for x in grid)


if "--fit" in sys.argv:
    for name, f, a, b, degree in FITS:
        c, error = fit(f, a, b, degree)
        print(name, "relative error", mp.nstr(error, 2), *(mp.nstr(x, 9) for x in c), sep="\n    ")
    sys.exit()


def text(x):
    return mp.nstr(x, 17, min_fixed=0, max_fixed=0).replace("e+", "e").replace("e0", "")


def spaced(low, high, count):
    """Logarithmically spaced, each moved by a random bit of the spacing."""
    step = log(mpf(high) / mpf(low)) / count
    return [mpf(low) * exp(step * (i + chance.random())) for i in range(count)]


def uniform(low, high, count): return [chance.uniform(low, high) for _ in range(count)]


chance = random.Random(1)
LOG = [1, 1e-45, 3e-45, 1.17549435e-38, 1.1754942e-38, 3.4028234e38, 0.70710678, 0.7071068,
       1.4142135, 1.4142137, 2, 0.5, 0.99999994, 1.0000001]
LOG += spaced(1e-45, 3e38, 100) + uniform(0.5, 2, 60)
LOG1P = [1e-45, -1e-45, -0.99999994, 3.4028234e38, 1, -0.5, -0.29289323, 0.41421357, 0.4142135,
         16777216, 16777218, 3.3e7, 5.9604645e-8, -5.9604645e-8]
LOG1P += spaced(1e-42, 3e38, 80) + [-y for y in spaced(1e-42, 0.9999999, 60)] + uniform(-1, 3, 60)
EXPM1 = [1e-45, -1e-45, 88.72283, -103, -17.3, -16.6, -20, -20.1, 0.34657359, 0.3465736,
         -0.34657359, 1.0397208, -1.0397208, 1, -1, 30 * 0.6931472]
EXPM1 += spaced(1e-42, 88.7, 70) + [-x for x in spaced(1e-42, 40, 70)] + uniform(-2, 2, 60)
EXP = [0, 80, -80, 1e-30, -1e-30, 0.34657359, 0.3465736, -0.34657359, 55.45177, -75.205795]
EXP += uniform(-80, 80, 90) + uniform(-1, 1, 60)
# y and w = 1 + y: the one nearer 0 is a float, the other is rounded.
EXCESS = [(y, None) for y in spaced(1e-18, 1e30, 70) + uniform(-0.5, 4, 50)]
EXCESS += [(-y, None) for y in spaced(1e-18, 0.5, 30)] + [(None, w) for w in spaced(1e-30, 0.5, 60)]
STIRLING = [1, 0.99999994, 1.0000001, 0.33333334, 0.3333333, 2, 10, 15.999999, 16, 100, 0.5]
STIRLING += spaced(1e-30, 1e30, 100) + spaced(1e-4, 1e3, 80)

lines = ["// Written by make_special_functions.py with mpmath, 120 digits; not to be edited.",
         "#pragma once", "", "namespace elbo::golden {", ""]


def table(kind, name, fields, rows):
    lines.extend(["struct %s {" % kind, "  double %s;" % fields, "};"] if fields else [])
    lines.append("inline constexpr %s %s[] = {" % (kind, name))
    lines.extend("    {%s}," % ", ".join(text(v) for v in row) for row in rows)
    lines.extend(["};", ""])


for name, f, inputs in (("log", log, LOG), ("log1p", log1p, LOG1P), ("expm1", expm1, EXPM1),
                        ("exp", exp, EXP)):
    table("FunctionPoint", name, "x, value" if name == "log" else "",
          [(x, f(x)) for x in map(single, inputs)])
rows = []
for y, w in EXCESS:
    if w is None:
        y = single(y)
        rows.append((y, single(1 + y), y - log1p(y)))
    else:
        w = single(w)
        rows.append((single(w - 1), w, w - 1 - log(w)))
table("ExcessPoint", "log1p_excess", "y, w, value", rows)
table("StirlingPoint", "stirling", "z, error, slope",
      [(z, stirling_error(z), stirling_error_slope(z)) for z in map(single, STIRLING)])
lines += ["}  // namespace elbo::golden", ""]
path = pathlib.Path(__file__).with_name("special_functions.h")
path.write_text("\n".join(lines))
print(path, len(lines), "lines")
