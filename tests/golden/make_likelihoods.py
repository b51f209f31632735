#!/usr/bin/env python3
"""Writes likelihoods.h, likelihoods/*.h and models/certified_points.h: log-probabilities, scores and
the scores' condition by mpmath.

    pip install mpmath gmpy2 && tests/golden/make_likelihoods.py

Every input is rounded to a float first, so that a float build evaluates the very same point.
"""
import math, multiprocessing, pathlib, random, struct
from mpmath import mp, mpf, digamma, diff, exp, expm1, log, log1p, loggamma, pi

mp.dps = 80  # a negative binomial's smallest scores are 1e-29 of their terms
STEP = mpf(10) ** -30  # of a forward difference, good to 1e-30 of the curvature
POINTS = 512
CERTIFIED = 24


def single(x): return struct.unpack("f", struct.pack("f", x))[0]


FLOOR = mpf(single(1e-3))

# ---- The laws: log_prob(x, p) and score(x, p), further constants after p ----


def sigmoid(x): return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))
def softplus(x): return max(x, mpf(0)) + log1p(exp(-abs(x)))


def bernoulli(x, p): return x * p[0] - softplus(p[0])
def bernoulli_score(x, p): return [x - sigmoid(p[0]) if p[0] < 0 else (x - 1) + sigmoid(-p[0])]


def continuous_bernoulli(x, p):
    return bernoulli(x, p) + (log(p[0] / mp.tanh(p[0] / 2)) if p[0] else log(mpf(2)))


def continuous_bernoulli_score(x, p):
    l = p[0]
    if l == 0: return [x - mpf(1) / 2]
    return [x + 1 / l + 1 / expm1(-l)]


def fixed_gaussian(x, p, sigma): return -(log(2 * pi) + ((x - p[0]) / sigma) ** 2) / 2 - log(sigma)
def fixed_gaussian_score(x, p, sigma): return [(x - p[0]) / sigma ** 2]


def gaussian(x, p):
    v = FLOOR ** 2 + exp(p[1])
    return -(log(2 * pi) + log(v) + (x - p[0]) ** 2 / v) / 2


def gaussian_score(x, p):
    v, d = FLOOR ** 2 + exp(p[1]), x - p[0]
    return [d / v, (d ** 2 / v - 1) * exp(p[1]) / v / 2]


def laplace(x, p):
    b = FLOOR + exp(p[1])
    return -log(2 * b) - abs(x - p[0]) / b


def laplace_score(x, p):
    b = FLOOR + exp(p[1])
    return [mp.sign(x - p[0]) / b, (abs(x - p[0]) / b - 1) * exp(p[1]) / b]


def student_t(x, p, nu):
    c = FLOOR + exp(p[1])
    return (loggamma((nu + 1) / 2) - loggamma(nu / 2) - log(nu * pi) / 2 - log(c) -
            (nu + 1) / 2 * log1p(((x - p[0]) / c) ** 2 / nu))


def student_t_score(x, p, nu):
    c = FLOOR + exp(p[1])
    y = (x - p[0]) / c
    return [(nu + 1) * y / (nu + y ** 2) / c, nu * (y ** 2 - 1) / (nu + y ** 2) * exp(p[1]) / c]


def poisson(x, p): return x * p[0] - exp(p[0]) - loggamma(x + 1)
def poisson_score(x, p): return [x - exp(p[0])]


def negative_binomial(x, p):
    mu, theta = exp(p[0]), exp(p[1])
    positive = x and loggamma(x + theta) - loggamma(theta) - loggamma(x + 1) + x * log(
        mu / (theta + mu))
    return positive - theta * log1p(mu / theta)


def negative_binomial_score(x, p):
    mu, theta = exp(p[0]), exp(p[1])
    psi = x and digamma(x + theta) - digamma(theta)
    return [theta * (x - mu) / (theta + mu),
            theta * (psi - log1p(mu / theta) + (mu - x) / (theta + mu))]


def zero_inflated(x, p):
    count, l = negative_binomial(x, (p[0], p[2])), p[1]
    if x: return count - softplus(l)
    return log1p(sigmoid(-l) * expm1(count)) if l > 0 else (
        max(l, count) + log1p(exp(-abs(l - count))) - softplus(l))


def zero_inflated_score(x, p):
    (a, t), l = negative_binomial_score(x, (p[0], p[2])), p[1]
    if x: return [a, -sigmoid(l), t]
    zero = negative_binomial(x, (p[0], p[2]))
    kept = sigmoid(zero - l)
    return [kept * a, -sigmoid(l - zero) * sigmoid(-l) * expm1(zero), kept * t]


def categorical(x, p):
    top = max(p)
    others = sum(exp(v - top) for k, v in enumerate(p) if k != x)
    own = exp(p[int(x)] - top)
    return -log1p(others / own)


def categorical_score(x, p):
    top = max(p)
    e = [exp(v - top) for v in p]
    others = sum(v for k, v in enumerate(e) if k != x)
    return [(others if k == x else -v) / sum(e) for k, v in enumerate(e)]


LEVELS = 256


def edges(x, p):
    """(x ± ½ - mean)/scale, and the scale; None where a bin has no such edge."""
    mean, scale = mpf("127.5") + 128 * p[0], 128 * exp(p[1])
    below = None if x == 0 else (x - mpf(1) / 2 - mean) / scale
    above = None if x == LEVELS - 1 else (x + mpf(1) / 2 - mean) / scale
    return below, above, scale


def mass(below, above):
    """sigmoid(above) - sigmoid(below), in whichever tail it is small."""
    return sigmoid(-below) - sigmoid(-above) if below > 0 else sigmoid(above) - sigmoid(below)


def discretised_logistic(x, p):
    below, above, scale = edges(x, p)
    if below is None: return -softplus(-above)
    if above is None: return -softplus(below)
    return log(mass(below, above))


def discretised_logistic_score(x, p):
    below, above, scale = edges(x, p)
    if below is None: return [-128 / scale * sigmoid(-above), -above * sigmoid(-above)]
    if above is None: return [128 / scale * sigmoid(below), below * sigmoid(below)]
    slope = lambda b: sigmoid(b) * sigmoid(-b)
    m = mass(below, above)
    return [-128 / scale * (slope(above) - slope(below)) / m,
            -(above * slope(above) - below * slope(below)) / m]


def parts_of_mixture(x, p):
    w = p[0::3]
    top = max(w)
    shares = [exp(v - top) for v in w]
    density = [exp(discretised_logistic(x, (m, s))) for m, s in zip(p[1::3], p[2::3])]
    return [s / sum(shares) for s in shares], density


def mixture(x, p):
    shares, density = parts_of_mixture(x, p)
    missing = sum(s * -expm1(discretised_logistic(x, p[3 * j + 1:3 * j + 3]))
                  for j, s in enumerate(shares))
    return log1p(-missing) if missing < 0.5 else log(sum(s * d for s, d in zip(shares, density)))


def mixture_score(x, p):
    shares, density = parts_of_mixture(x, p)
    missing = [-expm1(discretised_logistic(x, q)) for q in zip(p[1::3], p[2::3])]
    total = sum(s * d for s, d in zip(shares, density))
    out = []
    for j, (share, d) in enumerate(zip(shares, density)):
        # d - total, of differences of 1 - densities where those are near 1
        excess = sum(s * (missing[i] - missing[j] if min(d, density[i]) > 0.5 else d - density[i])
                     for i, s in enumerate(shares))
        out.append(share * excess / total)
        out += [share * d / total * v
                for v in discretised_logistic_score(x, p[3 * j + 1:3 * j + 3])]
    return out


def beta(x, p):
    a, b = exp(p[0]), exp(p[1])
    return (a - 1) * log(x) + (b - 1) * log1p(-x) - loggamma(a) - loggamma(b) + loggamma(a + b)


def beta_score(x, p):
    a, b = exp(p[0]), exp(p[1])
    return [a * (log(x) - digamma(a) + digamma(a + b)),
            b * (log1p(-x) - digamma(b) + digamma(a + b))]


# ---- The points: edges of the domain, then random ones ----


def sign(r): return r.choice((-1, 1))
def spread(r, low, high): return math.exp(r.uniform(math.log(low), math.log(high)))
def clip(x, low, high): return min(max(x, low), high)
def logistic(x): return 1 / (1 + math.exp(-clip(x, -700, 700)))


def logit_points(r):
    yield from ((x, l) for x in (0, 1, 0.5, 1 / 255, 128 / 255)
                for l in (-90, -40, -17.5, -1e-8, 0, 1e-8, 1e-4, 0.7, 20, 88.5, 90))
    while True:
        l = r.choice((r.uniform(-90, 90), sign(r) * spread(r, 1e-8, 90), r.gauss(0, 3)))
        yield (r.choice((0, 1, r.randrange(256) / 255, r.random(), 0.5 + 0.01 * r.gauss(0, 1),
                         clip(logistic(l) * (1 + 0.1 * r.gauss(0, 1)), 0, 1))), l)


def location(r):
    return r.choice((0, r.gauss(0, 1), sign(r) * spread(r, 1e-4, 1e4), r.uniform(-1e4, 1e4)))


def deviation(r):
    return r.choice((r.gauss(0, 1), sign(r) * r.uniform(0, 3), sign(r) * spread(r, 1, 30)))


def fixed_gaussian_points(r):
    for sigma in (1e-3, 1, 1e3):
        yield from ((x, 0, sigma) for x in (0, 1e-4, -1e4))
    while True:
        sigma = r.choice((1, 0.1, spread(r, 1e-3, 1e3)))
        m = location(r)
        x = r.choice((m + sigma * deviation(r), m + sigma * deviation(r), location(r)))
        yield clip(x, -1e4, 1e4), m, sigma


def scaled_points(scale, low, high, far):
    """x, m, s with |x - m| often a few scales(s), and s in [low, high]."""
    def points(r):
        yield from ((x, m, s) for s in (low, -20, -13.8155, -7, 0, high)
                    for x, m in ((0, 0), (1e4, -1e4), (0.25, 0.251), (-3, -3), (1e-4, 0)))
        while True:
            s, m = r.choice((r.uniform(low, high), r.uniform(-9, 3))), location(r)
            z = r.choice((deviation(r), deviation(r), sign(r) * spread(r, 1, far)))
            x = r.choice((m + scale(s) * z, m + scale(s) * z, m + scale(s) * z, location(r)))
            yield clip(x, -1e4, 1e4), m, s
    return points


def draw_poisson(r, rate):
    if rate > 200: return max(0, round(r.gauss(rate, math.sqrt(rate))))
    left, k = rate, 0
    while (left := left - r.expovariate(1)) > 0: k += 1
    return k


def poisson_points(r):
    yield from ((x, l) for x in (0, 1, 2, 100, 100000) for l in (-20, -1, 0, 1e-8, 5, 11.5, 12))
    while True:
        l = r.choice((r.uniform(-20, 12), r.uniform(-2, 12), r.gauss(0, 2)))
        rate = math.exp(l)
        x = r.choice((r.randrange(21), draw_poisson(r, rate), draw_poisson(r, rate),
                      round(rate + math.sqrt(rate) * r.uniform(-40, 40)), round(spread(r, 1, 1e5))))
        yield clip(x, 0, 100000), l


def draw_count(r, a, t):
    theta = math.exp(t)
    g = r.gammavariate(theta, 1 / theta) if theta > 1e-3 else 0
    return draw_poisson(r, min(math.exp(a) * g, 2e5))


def count_parameters(r):
    return (r.choice((r.uniform(-16, 12.5), r.uniform(-3, 7))),
            r.choice((r.uniform(-10, 16), r.uniform(-3, 5))))


def count(r, a, t):
    mu = math.exp(a)
    near = round(mu * (1 + 0.3 * r.gauss(0, 1)))
    return clip(r.choice((0, 0, r.randrange(21), draw_count(r, a, t), draw_count(r, a, t), near,
                          round(spread(r, 1, 2e5)))), 0, 200000)


def negative_binomial_points(r):
    yield from ((x, a, t) for x in (0, 1, 200000) for a in (-16, 0, 12.5) for t in (-10, 0, 16))
    while True:
        a, t = count_parameters(r)
        yield count(r, a, t), a, t


def zero_inflated_points(r):
    yield from ((x, a, l, t) for x in (0, 1, 200000) for a in (-16, 12.5) for t in (-10, 16)
                for l in (-40, 40))
    while True:
        a, t = count_parameters(r)
        l = r.choice((r.uniform(-40, 40), r.gauss(0, 2)))
        yield r.choice((0, count(r, a, t), count(r, a, t))), a, l, t


def categorical_points(classes):
    def points(r):
        for level in (-30, 0, 30):
            yield (0, *[level] * classes)
            yield (classes - 1, 30, *[-30] * (classes - 1))
            yield (0, 30, *[-30] * (classes - 1))
        while True:
            middle, width = r.uniform(-25, 25), r.choice((0.1, 1, 5, 5, 60))
            yield (r.randrange(classes),
                   *(clip(middle + width * (r.random() - 0.5), -30, 30) for _ in range(classes)))
    return points


def component(r, x):
    """(m, s) whose logistic has x near its mean, or up to 400 scales away."""
    scale = spread(r, 0.01, 300)
    near = (x + scale * r.gauss(0, 3) - 127.5) / 128
    m = clip(r.choice((near, near, r.uniform(-1.2, 1.2))), -1.2, 1.2)
    scale = max(scale, abs(x - 127.5 - 128 * m) / 400)
    return m, math.log(scale / 128)


def level(r): return r.choice((0, 255, r.randrange(256), r.randrange(256), r.randrange(256)))


def discretised_logistic_points(r):
    yield from ((x, m, math.log(scale / 128)) for scale in (0.01, 0.5, 1, 128, 300)
                for x, m in ((0, -1), (0, 1.2), (255, 1.2), (255, -1.2), (127, 0), (1, -0.75),
                             (128, 0.5 / 128)) if abs(x - 127.5 - 128 * m) < 400 * scale)
    yield from ((x, m, -math.log(128 * width)) for width in (79, 82, 86, 100)
                for x, m in ((127, 0), (128, 0), (127, 0.0001), (100, -27 / 128)))
    while True:
        x = level(r)
        yield (x, *component(r, x))


def mixture_points(r):
    while True:
        x, width = level(r), r.choice((1, 3, 10))
        yield (x, *(v for _ in range(3) for v in (r.uniform(-width, width), *component(r, x))))


def beta_points(r):
    yield from ((x, a, b) for a in (-6.9, 0, 11.5) for b in (-6.9, 0, 11.5)
                for x in (1e-6, 0.5, 1 - 2 ** -24))
    yield from ((x, a, b) for a, b in ((0, 0), (2, -1), (-6, 3), (5, 5)) for x in (1e-30, 1e-10))
    while True:
        a, b = (math.log(spread(r, *r.choice(((1e-3, 1e5), (0.1, 100))))) for _ in range(2))
        x = r.choice((r.random(), logistic(a - b + r.gauss(0, 1) * math.exp(-min(a, b, 10) / 2)),
                      r.betavariate(math.exp(a), math.exp(b)), spread(r, 1e-6, 1),
                      1 - spread(r, 1e-6, 1)))
        yield clip(x, 1e-30, 1 - 2 ** -24), a, b


# ---- Values from elsewhere, at inputs that are not rounded ----

# x, μ, θ, log p, ∂log p/∂μ, ∂log p/∂θ
KNOWN_NEGATIVE_BINOMIAL = [
    ("0", "0.0001", "0.01", "-9.950330853168083e-05", "-0.9900990099009901",
     "-4.934075415818186e-05"),
    ("0", "1", "1", "-0.6931471805599453", "-0.5", "-0.19314718055994531"),
    ("10", "3", "100", "-6.933369001275726", "2.2653721682847894", "-0.0017537957766398592"),
    ("0", "5", "10000", "-4.998750416510479", "-0.9995002498750625", "-1.249167135166797e-07"),
    ("7", "5", "1000000", "-2.2590974740263783", "0.39999800000999997", "1.4999993332985838e-12"),
    ("0", "5", "1000000", "-4.999987500041667", "-0.9999950000249999", "-1.2499916667135414e-11"),
    ("1000", "900", "0.5", "-8.329817546698557", "6.169412055031155e-05", "1.264118584503703"),
    ("20000", "15000", "10", "-10.135949042966988", "0.00022207417277370642",
     "0.005211760002664372"),
    ("100000", "100000", "100000", "-7.02197610596976", "0.0", "2.50000625e-06")]
# x, μ, θ, logit, log p
KNOWN_ZERO_INFLATED = [
    ("0", "5", "2", "-1", "-1.112854206982531"), ("0", "5", "2", "3", "-0.04453133785076005"),
    ("0", "0.001", "1", "-20", "-0.0009995003310223796"),
    ("0", "200", "50", "-30", "-30.000000000000092")]
# x, rate, log p
KNOWN_POISSON = [("7", "5", "-2.2590959740267116"), ("0", "1e-6", "-1e-6"),
                 ("20000", "19000", "-31.736574227150072")]
# x, mean, scale, log p
KNOWN_DISCRETISED_LOGISTIC = [
    ("0", "0", "1", "-0.4740769841801067"), ("255", "255", "2", "-0.5759394198788436"),
    ("10", "200", "0.5", "-379.14541345786887"), ("127", "127", "0.01", "-3.8574996959278356e-22")]


def agree(found, known):
    assert abs(found - mpf(known)) <= mpf(10) ** -12 * abs(mpf(known)), (found, known)


def known(law):
    """The raw inputs of a law's known values, after holding its formulas against them."""
    inputs = []
    if law == "negative_binomial":
        for x, mu, theta, log_p, of_mu, of_theta in KNOWN_NEGATIVE_BINOMIAL:
            x, p = mpf(x), (log(mpf(mu)), log(mpf(theta)))
            a, t = negative_binomial_score(x, p)
            agree(negative_binomial(x, p), log_p)
            if mpf(of_mu): agree(a / mpf(mu), of_mu)
            else: assert abs(a) < mpf(10) ** -60  # μ = x but for the rounding of log μ
            agree(t / mpf(theta), of_theta)
            inputs.append((x, *p))
    if law == "zero_inflated_negative_binomial":
        for x, mu, theta, l, log_p in KNOWN_ZERO_INFLATED:
            inputs.append((mpf(x), log(mpf(mu)), mpf(l), log(mpf(theta))))
            agree(zero_inflated(inputs[-1][0], inputs[-1][1:]), log_p)
    if law == "poisson":
        for x, rate, log_p in KNOWN_POISSON:
            inputs.append((mpf(x), log(mpf(rate))))
            agree(poisson(inputs[-1][0], inputs[-1][1:]), log_p)
    if law == "discretised_logistic":
        for x, mean, scale, log_p in KNOWN_DISCRETISED_LOGISTIC:
            inputs.append((mpf(x), (mpf(mean) - mpf("127.5")) / 128, log(mpf(scale) / 128)))
            agree(discretised_logistic(inputs[-1][0], inputs[-1][1:]), log_p)
    return inputs


# ---- Tables ----


def student(nu):
    return (2, lambda x, p: student_t(x, p, mpf(nu)), lambda x, p: student_t_score(x, p, mpf(nu)),
            scaled_points(lambda s: 1e-3 + math.exp(s), -30, 20, 1e4))


# name: parameters, log_prob, score, points (whose further numbers are constants of the law)
LAWS = {
    "bernoulli": (1, bernoulli, bernoulli_score, logit_points),
    "continuous_bernoulli": (1, continuous_bernoulli, continuous_bernoulli_score, logit_points),
    "fixed_gaussian": (1, fixed_gaussian, fixed_gaussian_score, fixed_gaussian_points),
    "gaussian": (2, gaussian, gaussian_score,
                 scaled_points(lambda s: math.sqrt(1e-6 + math.exp(s)), -30, 20, 30)),
    "laplace": (2, laplace, laplace_score,
                scaled_points(lambda s: 1e-3 + math.exp(s), -30, 20, 100)),
    "student_t_1": student(1), "student_t_4": student(4), "student_t_30": student(30),
    "beta": (2, beta, beta_score, beta_points),
    "poisson": (1, poisson, poisson_score, poisson_points),
    "negative_binomial": (2, negative_binomial, negative_binomial_score, negative_binomial_points),
    "zero_inflated_negative_binomial": (3, zero_inflated, zero_inflated_score,
                                        zero_inflated_points),
    "discretised_logistic": (2, discretised_logistic, discretised_logistic_score,
                             discretised_logistic_points),
    "discretised_logistic_mixture": (9, mixture, mixture_score, mixture_points),
    "categorical_4": (4, categorical, categorical_score, categorical_points(4)),
    "categorical_20": (20, categorical, categorical_score, categorical_points(20)),
}


def evaluate(law, point):
    """log_prob, score, condition at a point (x, p…, constants…) of floats."""
    parameters, log_prob, score, _ = LAWS[law]
    x, *p = map(mpf, point)
    p, constants = p[:parameters], p[parameters:]
    value, scores = log_prob(x, p, *constants), score(x, p, *constants)
    condition = [mpf(0)] * parameters
    for j in range(parameters):
        moved = score(x, p[:j] + [p[j] + STEP] + p[j + 1:], *constants)
        for k in range(parameters):
            if scores[k]: condition[k] += abs(p[j] * (moved[k] - scores[k]) / STEP / scores[k])
    return value, scores, condition


def check_scores(law, point, scores):
    parameters, log_prob, _, _ = LAWS[law]
    x, *p = map(mpf, point)
    p, constants = p[:parameters], p[parameters:]
    for k in range(parameters):
        found = diff(lambda v: log_prob(x, p[:k] + [v] + p[k + 1:], *constants), p[k])
        # diff's step is 1e-40 or so: what is below that of log_prob's curvature it does not see.
        assert abs(found - scores[k]) <= mpf(10) ** -20 * max(abs(scores[k]), 1), (law, point, k)


def decimal(x):
    """The shortest decimal that is this float again."""
    for digits in range(1, 10):
        if single(float(text := "%.*g" % (digits, x))) == x:
            return min(text, "%g" % x, key=lambda t: (single(float(t)) != x, len(t)))
    raise AssertionError(x)


def number(x): return "0" if abs(x) < mpf(10) ** -300 else repr(float(x)).removesuffix(".0")


def braces(words): return "{" + ", ".join(words) + "}"


def table(law):
    """Rows of text, and how many of them, the first, are known from elsewhere."""
    parameters, _, _, generate = LAWS[law]
    r, points = random.Random(law), {}
    for point in known(law): points[tuple(map(single, point))] = None
    known_ones = len(points)
    for point in generate(r):
        points[tuple(map(single, point))] = None
        if len(points) == POINTS: break
    rows = []
    for i, point in enumerate(points):
        value, scores, condition = evaluate(law, point)
        if i % 8 == 0 and not (law == "laplace" and point[0] == point[1]):
            check_scores(law, point, scores)
        x, *p = map(decimal, point)
        row = braces([x, braces(p[:parameters]), number(value), braces(map(number, scores)),
                      braces("%.3g" % float(min(c, mpf(10) ** 300)) for c in condition)])
        rows.append(braces([*p[parameters:], row]) if p[parameters:] else row)
    return rows, chosen(list(points), known_ones)


def chosen(points, known_ones):
    """The known points, and others each farthest, by ranks, from all chosen before."""
    columns = []
    for column in zip(*points):
        order = sorted(set(column))
        rank = {v: i / max(1, len(order) - 1) for i, v in enumerate(order)}
        columns.append([rank[v] for v in column])
    places = list(zip(*columns))
    picked = list(range(known_ones)) or [0]
    least = [min(math.dist(q, places[i]) for i in picked) for q in places]
    while len(picked) < known_ones + CERTIFIED:
        picked.append(max(range(len(points)), key=least.__getitem__))
        least = [min(d, math.dist(q, places[picked[-1]])) for d, q in zip(least, places)]
    return sorted(picked)


def wrapped(row):
    """A row in lines of at most 100 columns."""
    lines, line = [], "    "
    for word in (row + ",").split(" "):
        if len(line) + len(word) > 100: lines, line = lines + [line.rstrip()], "     "
        line += word + " "
    return lines + [line.rstrip()]


WRITTEN = "// Written by tests/golden/make_likelihoods.py with mpmath, 80 digits; not to be edited."
POINT = """/// x and the raw parameters p of a law, all of them floats; its log-probability in nats there; its
/// score ∂ log_prob / ∂p; and each score's condition Σ_j |p_j ∂score_k/∂p_j / score_k|.
template <int K>
struct Point {
  double x, p[K], log_prob, score[K], condition[K];
};

/// A law with a constant standard deviation.
struct FixedGaussianPoint {
  double sigma;
  Point<1> at;
};
"""


def declared(law, rows):
    kind = "FixedGaussianPoint" if law == "fixed_gaussian" else "Point<%d>" % LAWS[law][0]
    return ["inline constexpr %s %s[] = {" % (kind, law),
            *(line for row in rows for line in wrapped(row)), "};", ""]


def header(path, namespace, body):
    path.write_text("\n".join([WRITTEN, "#pragma once", "", *body[0],
                               "namespace %s {" % namespace, "", *body[1],
                               "}  // namespace %s" % namespace, ""]))
    print(path, path.stat().st_size)


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    with multiprocessing.Pool(2) as pool:
        tables = dict(zip(LAWS, pool.map(table, LAWS, chunksize=1)))
    header(here / "likelihoods" / "point.h", "elbo::golden", ([], [POINT]))
    for law, (rows, _) in tables.items():
        header(here / "likelihoods" / (law + ".h"), "elbo::golden",
               (['#include "tests/golden/likelihoods/point.h"', ""], declared(law, rows)))
    (here / "likelihoods.h").write_text("\n".join(
        [WRITTEN, "#pragma once",
         *sorted('#include "tests/golden/likelihoods/%s.h"' % law for law in LAWS), ""]))
    header(here.parent.parent / "models" / "certified_points.h", "elbo::certified",
           ([], ["// clang-format off", POINT] +
            [line for law, (rows, few) in tables.items()
             for line in declared(law, [rows[i] for i in few])] + ["// clang-format on", ""]))
