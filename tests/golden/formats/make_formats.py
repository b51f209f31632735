"""Files as other programs write them, for tests/data/other_programs_test.cpp.

    pip install anndata==0.12.19 h5py==3.16.0 numpy==2.4.6 pandas pillow; python make_formats.py FOLDER

Every table is x[r, c] = (3 r + 5 c) mod 7 where that is above 3, else 0: 6 rows, 5 columns.
"""
import pathlib
import sys

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from PIL import Image

out = pathlib.Path(sys.argv[1])
r, c = np.mgrid[0:6, 0:5]
x = ((3 * r + 5 * c) % 7).astype(np.float32)
x[x <= 3] = 0
obs = pd.DataFrame(
    {
        "line": pd.Categorical(["B", "A", None, "A", "B", "A"]),
        "batch": ["1", "2", "1", "2", "1", "2"],
        "age": np.array([1.5, np.nan, 3, 4, 5, 6]),
        "doublet": [True, False, False, True, False, False],
        "count": pd.array([1, None, 3, 4, 5, 6], dtype="Int64"),
    },
    index=[f"cell{i}" for i in range(6)],
)
obs["batch"] = obs["batch"].astype(object)
var = pd.DataFrame(index=[f"gene{i}" for i in range(5)])


def write(name, matrix, **more):
    data = anndata.AnnData(matrix, obs=obs.copy(), var=var.copy(), **more)
    data.write_h5ad(out / name)


anndata.settings.allow_write_nullable_strings = True
write("csr.h5ad", sp.csr_matrix(x), layers={"twice": sp.csr_matrix(2 * x), "dense": 3 * x})
write("csc.h5ad", sp.csc_matrix(x))
whole = anndata.AnnData(x, obs=obs.copy(), var=var.copy())
part = whole[:, :3].copy()
part.raw = whole
part.write_h5ad(out / "dense_and_raw.h5ad", compression="gzip")
with h5py.File(out / "lzf.h5ad", "w") as f:
    f.create_dataset("X", data=x, compression="lzf")
    f["obs/_index"] = [f"c{i}" for i in range(6)]
    f["var/_index"] = [f"g{i}" for i in range(5)]

# What anndata wrote before 0.8 and before 0.7: codes and their categories apart; tables of a compound type.
codes = np.array([1, 0, -1, 0, 1, 0], dtype=np.int8)
with h5py.File(out / "before_0_8.h5ad", "w") as f:
    f["X"] = x
    f["obs/_index"], f["var/_index"] = list(obs.index), list(var.index)
    f["obs/__categories/line"], f["obs/line"], f["obs/age"] = ["A", "B"], codes, obs["age"].to_numpy()
    f["obs/line"].attrs["categories"] = f["obs/__categories/line"].ref
    f["obs"].attrs["_index"], f["obs"].attrs["column-order"] = "_index", ["line", "age"]
    f["var"].attrs["_index"] = "_index"
with h5py.File(out / "before_0_7.h5ad", "w") as f:
    g, m = f.create_group("X"), sp.csr_matrix(x)
    g["data"], g["indices"], g["indptr"] = m.data, m.indices, m.indptr
    g.attrs["h5sparse_format"], g.attrs["h5sparse_shape"] = "csr", [6, 5]
    rows = [(name.encode(), code, age) for name, code, age in zip(obs.index, codes, obs["age"])]
    f["obs"] = np.array(rows, dtype=[("index", "S5"), ("line", "i1"), ("age", "f4")])
    f["var"] = np.array([(name.encode(),) for name in var.index], dtype=[("index", "S5")])
    f["obsm"] = np.zeros(6, dtype=[("X_pca", "f4", 2)])
    f["uns/line_categories"] = np.array([b"A", b"B"])

# Cell Ranger 3 and 2.
stored = sp.csr_matrix(x.astype(np.int32))
for name, group, names in (("ten_x_v3.h5", "matrix", "features/name"), ("ten_x_v2.h5", "hg19", "gene_names")):
    with h5py.File(out / name, "w") as f:
        g = f.create_group(group)
        g["barcodes"] = np.array([f"ACGT-{i}" for i in range(6)], dtype="S18")
        g[names] = np.array([f"GENE{i}" for i in range(5)], dtype="S12")
        g["data"], g["indices"] = stored.data, stored.indices.astype(np.int64)
        g["indptr"], g["shape"] = stored.indptr.astype(np.int64), np.array([5, 6], dtype=np.int32)

np.savez(out / "stored.npz", X=x, other=x[:, :2], y=np.arange(6))
np.savez_compressed(out / "deflated.npz", images=np.arange(48, dtype=np.uint8).reshape(3, 4, 4))
np.save(out / "bits.npy", np.packbits((x > 0).astype(np.uint8), axis=1))

for i, kind in enumerate(("cat", "dog")):
    folder = out / "pictures" / kind
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(2):
        grey = np.add.outer(np.arange(3), np.arange(4)).astype(np.uint8) * 10 + 100 * i + k
        image = Image.fromarray(grey, "L")
        (image if k == 0 else image.convert("RGB")).save(folder / f"{k}.png")

# Files that claim more than they hold: chunks that were never written.
many = dict(shape=(2**40,), chunks=(2**16,), compression="gzip")
with h5py.File(out / "claims_names.h5ad", "w") as f:
    f["X"] = x
    f.create_dataset("obs/_index", dtype="S8", **many)
    f["var/_index"] = [f"g{i}" for i in range(5)]
with h5py.File(out / "claims_values.h5ad", "w") as f:
    g = f.create_group("X")
    g.attrs["encoding-type"], g.attrs["shape"] = "csr_matrix", [6, 5]
    g["indptr"] = [0, 0, 0, 0, 0, 0, 2**40]
    g.create_dataset("indices", dtype="i4", **many)
    g.create_dataset("data", dtype="f4", **many)
    f["obs/_index"] = [f"c{i}" for i in range(6)]
    f["var/_index"] = [f"g{i}" for i in range(5)]
