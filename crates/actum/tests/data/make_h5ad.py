"""Makes the AnnData files of the tests: python make_h5ad.py WHAT...

anndata changed what it writes with almost every version, so each file is made by its own:

    0.7     anndata 0.7.8, pandas 1.5    anndata-0.7.h5ad
    0.8     anndata 0.8.0                anndata-0.8.h5ad
    0.12    anndata 0.12.19              anndata-0.12.h5ad
    0.13    anndata 0.13.4, pandas 3, hdf5plugin
                                         anndata-0.13.h5ad, zstd.h5ad, blosc.h5ad,
                                         hdf5-2.h5ad
"""

import sys

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

if not anndata.__version__.startswith("0.7"):
    from anndata.experimental import write_elem

n, genes = 24, ["Gata1", "Spi1", "Klf1", "Cebpa", "Actb"]
i = np.arange(n)[:, None]
# The tests compute these again.
counts = (i * 5 + np.arange(5) * 3) % 7
counts = np.where(counts < 3, counts, 0).astype("f4")
pca = ((i * 7 + np.arange(2) * 3) % 11 / 4 - 1).astype("f4")
velocity = ((i * 3 + np.arange(2) * 5) % 13 / 8).astype("f4")


def cells(**more):
    day = np.array([10.0, 10.5, 11.0])[np.arange(n) % 3]
    kind = [["blood", None, "skin"][k % 3] for k in range(n)]
    obs = pd.DataFrame(
        {
            "day": pd.Categorical(day, ordered=True),
            "cell_type": pd.Categorical(kind),
            "score": np.where(np.arange(n) == 1, np.nan, np.arange(n) / 4).astype("f4"),
            "is_good": np.arange(n) % 2 == 0,
            **more,
        },
        index=[f"cell{k}" for k in range(n)],
    )
    return obs


def data(X, obs, **more):
    var = pd.DataFrame(index=genes)
    return anndata.AnnData(X, obs=obs, var=var, obsm={"X_pca": pca}, **more)


def write(path, data, **how):
    """In a newer format of HDF5 than anndata asks for, which takes less room."""
    with h5py.File(path, "w", libver=("v110", "v110")) as f:
        write_elem(f, "/", data, dataset_kwargs=how)


def little(path, version, **how):
    """As little as can be read."""
    with h5py.File(path, "w", libver=(version, version)) as f:
        obs = f.create_group("obs")
        obs.attrs["_index"] = "name"
        obs["name"] = np.arange(n)
        obs["day"] = np.arange(n) % 3
        f.create_dataset("obsm/X_pca", data=pca, chunks=(10, 1), **how)


def make(what):
    if what == "0.7":
        stage = pd.Categorical([["Day 2", "day10"][k % 2] for k in range(n)])
        data(sp.csr_matrix(counts), cells(stage=stage)).write_h5ad("anndata-0.7.h5ad")
    if what == "0.8":
        hour = pd.array([None if k == 5 else k % 2 for k in range(n)], dtype="Int64")
        write("anndata-0.8.h5ad", data(sp.csc_matrix(counts), cells(hour=hour)))
    if what == "0.12":
        a = data(counts, cells(w=np.arange(n) % 4 + 1), layers={"scaled": sp.csr_matrix(counts * 2)})
        a.obsm["velocity_pca"] = velocity
        a.obsm["protein"] = pd.DataFrame({"CD4": counts[:, 0], "CD8": pca[:, 0]}, index=a.obs_names)
        write("anndata-0.12.h5ad", a, compression="gzip")
    if what == "0.13":
        batch = ["a", "b"] * (n // 2)
        a = data(sp.csr_matrix(counts), cells(batch=batch, time=[f"{k % 2 * 12}h" for k in range(n)]))
        a.obs_names.name = "barcode"
        write("anndata-0.13.h5ad", a)
        import hdf5plugin

        little("zstd.h5ad", "v110", shuffle=True, **hdf5plugin.Zstd())
        with h5py.File("zstd.h5ad", "a") as f:
            # Texts of any length, more than one chunk and one heap of them, and of one length.
            kinds = [["", "größer", "skin" * 200][k % 3] for k in range(n)]
            f.create_dataset("obs/kind", data=kinds, dtype=h5py.string_dtype(), chunks=(10,), **hdf5plugin.Zstd())
            fixed = np.array([f"b{k % 2}" for k in range(n)], dtype="S4")
            f.create_dataset("obs/batch", data=fixed, chunks=(7,), shuffle=True, **hdf5plugin.Zstd())
        little("blosc.h5ad", "v110", **hdf5plugin.Blosc())
        little("hdf5-2.h5ad", "latest", compression="gzip")


for what in sys.argv[1:]:
    make(what)
