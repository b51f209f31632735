"""Missing entries of a two-dimensional Gaussian N(0, I + 11ᵀ), and of the wine table.

Of a Gaussian no imputation has a mean squared error below 3/2, the variance of one coordinate given
the other; an interval of 90 % should hold 90 % of what is missing, of either.
"""
import numpy as np

from claims import Claims

claims = Claims()
interval = ("--importance-samples", 500, "--interval", 0.9)


def impute(name, table, training):
    """Means, lower and upper ends of the table's missing entries by a model trained on it."""
    given, run, out = claims.path(name + ".csv"), claims.path(name), claims.path(name + "-out.npy")
    np.savetxt(given, table, delimiter=",", fmt="%.9g")
    claims.elbo("train", given, "--out", run, "--likelihood", "gaussian", "--input", "indicated",
                "--objective", "iwae", "--samples", 10, *training)
    claims.elbo("impute", run, given, "--out", out, *interval)
    gone = np.isnan(table)
    return [np.load(out.replace(".npy", end + ".npy"))[gone] for end in ("", "-lower", "-upper")]


random = np.random.default_rng(1)
truth = random.standard_normal((20000, 1)) + random.standard_normal((20000, 2))
table = truth.copy()
table[random.random(20000) < 0.5, 0] = np.nan
mean, lower, upper = impute("gaussian", table, ("--sigma", "shared", "--hidden", 32, "--latent", 2,
                                                "--lr", 0.003, "--lr-schedule", "cosine",
                                                "--epochs", 20))
hidden = truth[np.isnan(table)]
error = np.mean((mean - hidden) ** 2)
claims.claim("squared error of a Gaussian's imputed entries", f"{error:.3f}", "at most 1.65",
             error <= 1.65)
claims.share_within("of them within their interval of 90 %",
                    np.mean((lower <= hidden) & (hidden <= upper)), 0.88, 0.92)

wine = np.loadtxt(claims.data + "/tables/winequality-white.csv", delimiter=",")
wine = (wine - wine.mean(0)) / wine.std(0)
table = wine.copy()
table[random.random(wine.shape) < 0.1] = np.nan
mean, lower, upper = impute("wine", table, ("--sigma", "datum", "--hidden", 128, "--latent", 8,
                                            "--lr", 0.002, "--lr-schedule", "cosine",
                                            "--epochs", 80))
hidden = wine[np.isnan(table)]
claims.claim("squared error of the wines' imputed entries, standardised",
             f"{np.mean((mean - hidden) ** 2):.3f}", "below 1, that of the mean",
             np.mean((mean - hidden) ** 2) < 1)
claims.share_within("of them within their interval of 90 %",
                    np.mean((lower <= hidden) & (hidden <= upper)), 0.88, 0.92)
claims.finish()
