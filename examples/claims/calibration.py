"""Intervals of 90 % for entries of data that the model itself has drawn hold 90 % of them."""
import numpy as np

from claims import Claims

claims = Claims()
wine = np.loadtxt(claims.data + "/tables/winequality-white.csv", delimiter=",")
wine = (wine - wine.mean(0)) / wine.std(0)
random = np.random.default_rng(2)
wine[random.random(wine.shape) < 0.2] = np.nan
given, run, drawn = claims.path("wine.csv"), claims.path("wine"), claims.path("drawn.npy")
np.savetxt(given, wine, delimiter=",", fmt="%.9g")
claims.elbo("train", given, "--out", run, "--likelihood", "gaussian", "--sigma", "feature",
            "--input", "indicated", "--hidden", 64, "--latent", 4, "--lr", 0.002, "--epochs", 30)

claims.elbo("sample", run, "-n", 4000, "--mode", "sample", "--seed", 3, "--out", drawn)
truth = np.load(drawn)
table = truth.copy()
table[random.random(truth.shape) < 0.3] = np.nan
held_out, out = claims.path("held-out.npy"), claims.path("imputed.npy")
np.save(held_out, table.astype(np.float32))
claims.elbo("impute", run, held_out, "--out", out, "--interval", 0.9, "--importance-samples", 2000)
gone = np.isnan(table)
lower, upper = (np.load(claims.path(f"imputed-{end}.npy"))[gone] for end in ("lower", "upper"))
claims.share_within("of drawn data within their interval of 90 %",
                    np.mean((lower <= truth[gone]) & (truth[gone] <= upper)), 0.88, 0.92)
claims.finish()
