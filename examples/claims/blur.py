"""Two equally likely fine patterns: squared error gives their average, a mixture decoder either.

A chequerboard of 8 x 8 pixels, 128 ± 16 of 256 levels, or its complement, with noise of 2 levels.
Under squared error (a Gaussian with σ = 1 on pixels in [0, 1]) telling the two apart saves Σ c²/2σ²
nats, less than the log 2 that a latent unit must pay for the choice: the best code is none, and the
best picture without a code is the mean.  A mixture of discretised logistics learns how sharp the
pixels are; the choice then saves 64 log 2 nats and the latents carry it.  Draws of the aggregate
posterior are patterns; those of the prior are too, but where z falls between the two codes.
"""
import numpy as np

from trained import TrainedClaims

claims = TrainedClaims()
CONTRAST, PIXELS = 16, 64
random = np.random.default_rng(0)
pattern = (1 - 2 * (np.indices((8, 8)).sum(0) % 2)).ravel()


def pictures(count):
    sign = random.choice([-1, 1], count)[:, None]
    noisy = 128 + CONTRAST * sign * pattern + 2 * random.standard_normal((count, PIXELS))
    return np.round(noisy).astype(np.uint8).reshape(count, 8, 8)


train, test = claims.save("train", pictures(4000)), claims.save("test", pictures(1000))
squares = dict(hidden="64,64", latent=1, batch=100, lr=0.003, lr_schedule="cosine", epochs=30)

claims.train("squares", train, likelihood="gaussian", sigma="fixed:1", **squares)
saves, costs = PIXELS * (CONTRAST / 255) ** 2 / 2, np.log(2)
found = claims.evaluate("squares", test)
claims.note("blur: telling the patterns apart saves, of squared error with σ = 1",
            f"{saves:.3f} nats, and costs {costs:.3f}")
claims.claim("blur: KL of the model of squared error, nats", f"{found['kl']:.4f}", "below 0.01",
             found["kl"] < 0.01)
mean = claims.written("reconstruct", "squares", test) * 255
left = np.abs((mean - 128) @ pattern).max() / PIXELS / CONTRAST
claims.claim("blur: contrast that its reconstructions keep, at most", f"{100 * left:.1f} %",
             "below 10 %", left < 0.1)
# A pixel's level is a bin of width 1/255.
of_squares = (-found["elbo"] / PIXELS + np.log(255)) / np.log(2)

claims.train("mixture", train, likelihood="logistic_mixture", components=2, hidden=64, latent=2,
             batch=100, lr=0.003, lr_schedule="cosine", epochs=40)
found = claims.evaluate("mixture", test)
of_mixture = -found["elbo"] / PIXELS / np.log(2)


def landed(latents):
    """Of 10000 draws, the share that is one pattern in all pixels, and that of the first."""
    drawn = claims.sample("mixture", 10000, latents=latents) - 128
    matches = (np.sign(drawn) * pattern).sum(1)
    return (np.abs(matches) == PIXELS).mean(), (matches > 0).mean()


whole, first = landed("gmm:2")
claims.claim("blur: draws of the aggregate posterior (a mixture of 2) that are one of the "
             "patterns, all 64 pixels", f"{100 * whole:.2f} %", "at least 99 %", whole >= 0.99)
claims.share_within("blur: of them the first pattern", first, 0.45, 0.55)
claims.note("blur: draws of the prior that are", f"{100 * landed('prior')[0]:.2f} %")
claims.claim("blur: held-out bits/dim of the mixture", f"{of_mixture:.3f}",
             f"below the Gaussian's, {of_squares:.3f}", of_mixture < of_squares)

claims.train("shared", train, likelihood="gaussian", sigma="shared", **squares)
found = claims.evaluate("shared", test)
of_shared = (-found["elbo"] / PIXELS + np.log(255)) / np.log(2)
claims.note("blur: a Gaussian that learns its σ",
            f"{of_shared:.3f} bits/dim, KL {found['kl']:.2f}")
claims.finish()
