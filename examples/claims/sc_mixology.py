"""Counts of five cell lines: along one latent unit of a line's model PCNA falls while CCNB1 rises.

Tian et al. (2019): 1408 cells, of which the singlets by genotype; the genes of S and of G2/M listed
by the Regev lab that the data have, and CCNB1.  A negative binomial, a model for each line, which is
told nothing of the batch.  Rates are shares of the cell's counts of these genes (--rates library), so
that changes are relative to them all, as they rise and fall together more than against each other:
with the other genes' sum as one column more, and so shares of all that was counted, the one unit is
taken by that, and PCNA rises with CCNB1.  Both are printed.
"""
import gzip

import numpy as np

from trained import TrainedClaims

claims = TrainedClaims()
folder = claims.folder("cells/sc_mixology")


def table(path):
    with gzip.open(path, "rt") as file:
        return [line.rstrip("\n").split("\t") for line in file]


symbols = [row[1] for row in table(folder / "features.tsv.gz")]
_, *cells = table(folder / "cells.tsv.gz")
batch, line, call = (np.array([cell[i] for cell in cells]) for i in (1, 2, 3))
with gzip.open(claims.folder("cells/sc_mixology/matrix.mtx.gz"), "rt") as file:
    entries = np.loadtxt(file, comments="%", skiprows=2, dtype=np.int32)
counts = np.zeros((len(cells), len(symbols)), np.float32)
counts[entries[:, 1] - 1, entries[:, 0] - 1] = entries[:, 2]

listed = claims.folder("cells/regev_lab_cell_cycle_genes.txt").read_text().split()
genes = [gene for gene in [*listed, "CCNB1"] if gene in symbols]  # which does not list it
panel = counts[:, [symbols.index(gene) for gene in genes]]
rest = counts.sum(1, keepdims=True) - panel.sum(1, keepdims=True)


def changes(name, rows, of_line):
    """How the shares of PCNA and CCNB1 change between the outer tenths of z, log2, CCNB1 rising."""
    data = claims.save(name, rows[of_line])
    claims.train(name, data, likelihood="negative_binomial", rates="library", latent=1, hidden=32,
                 batch=32, epochs=100, lr=0.003, objective="iwae", samples=5)
    z = claims.encode(name, data)[:, 0]
    low, high = claims.decode(name, np.quantile(z, [0.1, 0.9])[:, None])
    change = np.log2(high / high.sum()) - np.log2(low / low.sum())
    pcna, ccnb1 = change[genes.index("PCNA")], change[genes.index("CCNB1")]
    batches = batch[of_line]
    between = sum((batches == b).sum() * (z[batches == b].mean() - z.mean()) ** 2
                  for b in np.unique(batches))
    return pcna * np.sign(ccnb1), abs(ccnb1), between / ((z - z.mean()) ** 2).sum()


held = 0
names = np.unique(line)
for name in names:
    of_line = (line == name) & (call == "SNG")
    pcna, ccnb1, between = changes(name, panel, of_line)
    held += pcna < -1 and ccnb1 > 1
    claims.note(f"sc_mixology, {name}, {of_line.sum()} cells",
                f"PCNA {pcna:+.2f}, CCNB1 {ccnb1:+.2f} log2; batches explain {between:.2f} of z")
    pcna, ccnb1, _ = changes(f"{name}-all", np.hstack([panel, rest]), of_line)
    claims.note(f"sc_mixology, {name}, shares of all counts",
                f"PCNA {pcna:+.2f}, CCNB1 {ccnb1:+.2f} log2")
claims.claim("sc_mixology: lines in which PCNA falls and CCNB1 rises, each by over 1 log2",
             f"{held} of {len(names)}", "at least 3", held >= 3)
claims.finish()
