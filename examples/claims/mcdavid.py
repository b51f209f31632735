"""Cells sorted by DNA content: one latent unit finds the stage, once the cells' size is taken out.

342 breast-cancer cells (McDavid et al. 2014), log2 expression by qPCR; the FACS stage is not
trained on.  The size is the mean log2 expression of the 28 genes of the panel (--centre rows), so
that decoded changes are relative to the panel, which itself rises along the cycle; the same with the
mean of all 253 genes as the size is printed beside it.
"""
import csv

import numpy as np

from trained import TrainedClaims, spearman

claims = TrainedClaims()
folder = claims.folder("cells/mcdavid_mb")
with open(folder / "expression.csv") as file:
    head, *cells = csv.reader(file)
genes = head[2:]
stage = np.array([["g0/g1", "s", "g2/m"].index(cell[1]) for cell in cells])
expression = np.array([cell[2:] for cell in cells], dtype=float)
panel = (folder / "cycle_genes_28.txt").read_text().split()
on_panel = expression[:, [genes.index(gene) for gene in panel]]


def trained(name, rows, **more):
    """|rho(z, stage)|, and how PCNA and CCNB2 change from z = -2 to 2, the stage rising with z."""
    data = claims.save(name, rows)
    claims.train(name, data, likelihood="gaussian", sigma="feature", latent=1, hidden=16, batch=32,
                 epochs=150, lr=0.003, **more)
    rho = spearman(claims.encode(name, data)[:, 0], stage)
    low, high = claims.decode(name, np.array([[-2], [2]]) * np.sign(rho))
    return abs(rho), *((high - low)[panel.index(gene)] for gene in ("PCNA", "CCNB2"))


rho, pcna, ccnb2 = trained("panel", on_panel, centre="rows")
claims.claim("mcdavid: |rho(z, stage)|, size of the panel taken out", f"{rho:.3f}", ">= 0.70",
             rho >= 0.70)
claims.claim("mcdavid: PCNA against the panel, z from -2 to 2, log2", f"{pcna:+.2f}", "< -1", pcna < -1)
claims.claim("mcdavid: CCNB2 against the panel, z from -2 to 2, log2", f"{ccnb2:+.2f}", "> 1", ccnb2 > 1)
rho, pcna, ccnb2 = trained("raw", on_panel)
claims.claim("mcdavid: with the size left in it is not found: |rho|",
             f"{rho:.3f}, PCNA {pcna:+.2f}, CCNB2 {ccnb2:+.2f}", "|rho| < 0.70 or PCNA >= -1",
             rho < 0.70 or pcna >= -1)
rho, pcna, ccnb2 = trained("all", on_panel - expression.mean(axis=1, keepdims=True))
claims.note("mcdavid: size of all 253 genes taken out: |rho|",
            f"{rho:.3f}, PCNA {pcna:+.2f}, CCNB2 {ccnb2:+.2f}")
claims.finish()
