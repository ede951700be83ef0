"""Makes the AnnData files of the tests: python make_h5ad.py WHAT...

anndata changed what it writes with almost every version, so each file is made by its own:

    0.7     anndata 0.7.8, pandas 1.5    anndata-0.7.h5ad
    0.8     anndata 0.8.0                anndata-0.8.h5ad
    0.12    anndata 0.12.19, zarr 3.1.6  anndata-0.12.h5ad, anndata-0.12.zarr.zip
    0.13    anndata 0.13.4, zarr 3.4.2, pandas 3, hdf5plugin
                                         anndata-0.13.h5ad, zstd.h5ad, blosc.h5ad,
                                         hdf5-2.h5ad, anndata-0.13.zarr.zip, codecs-2.zarr.zip,
                                         codecs-3.zarr.zip
"""

import shutil
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


def packed(path, fill):
    """A store of Zarr as one file; the tests unpack it."""
    fill(path)
    shutil.make_archive(path, "zip", path)
    shutil.rmtree(path)


def whole():
    """All that a store may hold."""
    hour = pd.array([None if k == 5 else k % 2 for k in range(n)], dtype="Int64")
    layers = {"scaled": sp.csc_matrix(counts * 2), "dense": counts}
    a = data(sp.csr_matrix(counts), cells(w=np.arange(n) % 4 + 1, hour=hour), layers=layers)
    a.obsm["velocity_pca"] = velocity
    a.obsm["protein"] = pd.DataFrame({"CD4": counts[:, 0], "CD8": pca[:, 0]}, index=a.obs_names)
    return a


def codecs(path, version):
    """The same numbers, packed in many ways, in chunks that do not divide the shape."""
    import numcodecs as nc
    import zarr
    import zarr.codecs as zc

    g = zarr.open_group(path, mode="w", zarr_format=version)
    obs = g.create_group("obs")
    obs.attrs["_index"] = "name"
    obs.create_array("name", data=np.arange(n))
    obs.create_array("day", data=np.arange(n) % 3)
    obs.create_array("fixed", data=np.array([["skin", "größer"][k % 2] for k in range(n)]), chunks=(10,))
    obsm = g.create_group("obsm")

    def add(name, x=pca, chunks=(10, 2), **how):
        obsm.create_array(f"X_{name}", data=x, chunks=chunks, **how)

    wide = np.ascontiguousarray(np.tile(pca, (1, 400)))
    for name, x, chunks in [("", pca, (10, 1)), ("wide_", wide, (7, 300))]:
        add(name + "none", x, chunks, compressors=None)
        add(name + "fortran", x, chunks, order="F", compressors=None) if version == 2 else None
        if version == 2:
            for kind in ["lz4", "zlib", "zstd", "blosclz"]:
                for shuffle in [0, 1, 2]:
                    how = nc.Blosc(cname=kind, shuffle=shuffle, clevel=5)
                    add(f"{name}blosc_{kind}_{shuffle}", x, chunks, compressors=how)
            add(name + "blocks", x, chunks, compressors=nc.Blosc(cname="lz4", shuffle=1, blocksize=512))
            for how in [nc.GZip(), nc.Zlib(), nc.Zstd(), nc.LZ4()]:
                add(name + how.codec_id, x, chunks, compressors=how)
        else:
            for kind in ["lz4", "zstd", "blosclz"]:
                for shuffle in ["noshuffle", "shuffle", "bitshuffle"]:
                    how = zc.BloscCodec(cname=kind, shuffle=shuffle, typesize=4)
                    add(f"{name}blosc_{kind}_{shuffle}", x, chunks, compressors=how)
            add(name + "gzip", x, chunks, compressors=zc.GzipCodec())
            add(name + "zstd", x, chunks, compressors=zc.ZstdCodec())
            add(name + "crc32c", x, chunks, compressors=[zc.ZstdCodec(), zc.Crc32cCodec()])
            shards = (2 * chunks[0], 2 * chunks[1])
            add(name + "shards", x, chunks, shards=shards, compressors=zc.GzipCodec())
            add(name + "fortran", x, chunks, filters=[zc.TransposeCodec(order=(1, 0))], compressors=None)
    add("half", pca.astype("f2"))
    add("big", pca.astype(">f4"))
    # Zeros are not stored.
    some = np.where(np.arange(n)[:, None] < 10, 0, pca).astype("f4")
    add("some", some, config={"write_empty_chunks": False})


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
        packed("anndata-0.12.zarr", whole().write_zarr)
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
        packed("anndata-0.13.zarr", whole().write_zarr)
        for version in [2, 3]:
            packed(f"codecs-{version}.zarr", lambda path: codecs(path, version))


for what in sys.argv[1:]:
    make(what)
