"""Sequences of 200 letters: a categorical VAE against letters drawn site by site, and a mixture.

Enhancers and others (Liu et al. 2016): 2968 training and 400 test sequences; the 100 of the
training files that are also in the test files are dropped.  Most of what can be known of a held-out
sequence is its composition, here and there along it, so that the model is linear and small: 6
units, no hidden layer.  It is trained on each sequence, its reverse complement and 6 rotations of
these, as DNA has no first letter and no first strand; the mixture of 16 compositions, fitted by EM,
has no use for that.  FASTA goes in and comes out.
"""
import json

import numpy as np

from trained import TrainedClaims, log_mean, responsibilities

claims = TrainedClaims()
LENGTH = 200


def read(path):
    sequences = []
    with open(path) as file:
        for line in file:
            if line.startswith(">"):
                sequences.append("")
            else:
                sequences[-1] += line.strip().upper()
    return sequences


def parts(*names):
    return [s for name in names for s in read(claims.folder("dna/enhancers") / name)]


def classes(sequences):
    return np.array([["ACGT".index(letter) for letter in sequence] for sequence in sequences])


def as_fasta(name, rows):
    with open(claims.path(name), "w") as file:
        for row in np.array(list("ACGT"))[rows]:
            file.write(">\n" + "".join(row) + "\n")
    return claims.path(name)


test = parts("test_enhancers.fa", "test_nonenhancers.fa")
known = set(test)
train = [s for s in parts("train_enhancers.fa", "train_nonenhancers.fa") if s not in known]
train, test = classes(train), classes(test)

letters = np.eye(4)
sites = letters[train].mean(0) + 1e-3
sites /= sites.sum(1, keepdims=True)
independent = -np.log(sites[np.arange(LENGTH), test]).sum(1).mean()

random = np.random.default_rng(0)
composition, of_test = letters[train].sum(1), letters[test].sum(1)
mixture, weights = random.dirichlet(np.full(4, 20), size=16), np.full(16, 1 / 16)
for _ in range(500):
    share = responsibilities(composition @ np.log(mixture).T, weights)
    weights = share.mean(0)
    mixture = share.T @ composition + 0.5
    mixture /= mixture.sum(1, keepdims=True)
mixed = -log_mean(of_test @ np.log(mixture).T, weights).mean()

turned = [train, 3 - train[:, ::-1]]
for copy in range(6):
    start = random.integers(0, LENGTH, len(train))
    place = (np.arange(LENGTH) + start[:, None]) % LENGTH
    turned.append(np.take_along_axis(turned[copy % 2], place, axis=1))
claims.train("run", as_fasta("train.fa", np.concatenate(turned)), likelihood="categorical",
             hidden="none", latent=6, batch=128, lr=0.003, lr_schedule="cosine", epochs=10)
found = claims.evaluate("run", as_fasta("test.fa", test), samples=500)
nats, error = found["nll"], found["nll_standard_error"]
claims.claim("dna: held-out nats a sequence", f"{nats:.2f} ± {error:.2f} over sequences",
             f"below site-independent letters, {independent:.2f}", nats < independent)
claims.claim("dna: held-out nats a sequence", f"{nats:.2f}",
             f"below a mixture of 16 compositions, {mixed:.2f}", nats < mixed)

# The decoder at draws from the prior, and letters drawn at the same ones.
count = 4000
logits = claims.sample("run", count, "params").reshape(count, LENGTH, 4)
out = claims.path("drawn.fasta")
claims.elbo("sample", claims.path("run"), "-n", count, "--mode", "sample", "--out", out)
sequences = read(out)
whole = sum(len(s) == LENGTH and set(s) <= set("ACGT") for s in sequences)
claims.claim("dna: drawn sequences in the file.fasta that elbo sample writes",
             f"{whole} of {LENGTH} letters ACGT", f"{count}", whole == count == len(sequences))
drawn = classes(sequences)
probability = np.exp(logits.astype(float) - logits.max(2, keepdims=True))
probability /= probability.sum(2, keepdims=True)
checks = json.loads(claims.elbo("certify", "--json"))["checks"]
total = next(c["got"] for c in checks if c["claim"] == "total of categorical, 4 classes")
claims.claim("dna: a place's probabilities, as elbo computes them, sum to", f"{total:.8f}",
             "1 within 2e-6", abs(total - 1) <= 2e-6)
expected, observed = probability.sum(0), letters[drawn].sum(0)
variance = (probability * (1 - probability)).sum(0)
# Of a letter and place (observed - expected)²/variance has mean 1; 3/4 of it is free of the sum.
chi2 = (((observed - expected) ** 2) / variance).mean()
spread = 4 * np.sqrt(2 * (4 / 3) / (4 * LENGTH))
claims.claim("dna: chi² of sampled letters against their probabilities, a letter and place",
             f"{chi2:.3f}", f"1 ± {spread:.3f}", abs(chi2 - 1) <= spread)
claims.finish()
