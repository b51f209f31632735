"""Prints the constants of CellCounts in tests/data/matrix_market_test.cpp, as SciPy reads the files.

    python3 make_cell_sums.py FOLDER     FOLDER: the one that ELBO_DATA names
"""

import gzip
import pathlib
import sys

import numpy
import scipy.io

for name in ["sc_mixology", "pbmc68k_reduced", "cite_seq_5k",
             "formats/10x-3.0.0/filtered_feature_bc_matrix"]:
    folder = pathlib.Path(sys.argv[1]) / "cells" / name
    with gzip.open(folder / "matrix.mtx.gz") as file:
        cells = scipy.io.mmread(file).tocsr().T.tocsr()
    words = [[line.split("\t") for line in gzip.open(folder / file, "rt").read().splitlines()]
             for file in ("barcodes.tsv.gz", "features.tsv.gz")]
    of_cells = numpy.asarray(cells.sum(1)).ravel().astype(numpy.int64)
    of_genes = numpy.asarray(cells.sum(0)).ravel().astype(numpy.int64)
    # Each cell's sum times its number: tells cells that are swapped.
    weighted = int((of_cells * (numpy.arange(len(of_cells)) + 1)).sum())
    top = int(of_genes.argmax())
    print(f'{{"{name}", {cells.shape[0]}, {cells.shape[1]}, {cells.max()}, {of_cells[0]}, '
          f'{of_cells[-1]}, {weighted}, "{words[0][-1][0]}", "{words[1][top][1]}", {top}, '
          f"{of_genes[top]}}},")
