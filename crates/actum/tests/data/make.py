"""Makes the files beside it, with NumPy 2.4.6, pandas 3.1.1, Polars 2.1.0 and PyArrow 26.0.1."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

X = np.array([[0.1, -2.5, 1e-300], [1 / 3, 4.0, -7.25], [2**-0.5, 1e17, 0.0], [5.5, -6.5, 1.5]])
labels = np.array(["Day 2", "day10", "day10", "Day 2"])

np.savez("labels.npz", X=X, t=labels)
np.savez_compressed(
    "fortran.npz",
    X=np.asfortranarray(X),
    t=np.array([3, 1, 1, 3], dtype=">i4"),
    w=np.array([1, 2, 3, 4], "f4"),
)
np.savez(
    "single.npz",
    X=X.astype("f4")[:, :2],
    t=np.array([0.1, 0.1, 2.5, 2.5], "f4"),
    columns=np.array(["a", "bé"]),
)
np.savez("pickled.npz", X=X, t=np.array(["a", 1, "b", 2], dtype=object))
np.savez(
    "cube.npz",
    X=np.zeros((2, 3, 4), ">f8"),
    t=np.zeros(2),
    short=np.zeros(5, "u1"),
    half=np.zeros(2, "f2"),
    plane=np.zeros((2, 2)),
)

cells = pd.DataFrame(X, columns=["PC1", "PC2", "PC3"], index=["AAAC-1", "AAAG-1", "TTTG-1", "TTTC-1"])
cells.insert(0, "day", pd.Categorical(labels))
cells["cluster"] = ["a", "b", "b", "a"]
cells.to_csv("pandas.csv")
cells["count"] = np.array([1, 2, 3, 2**32 - 1], dtype="uint32")
cells.to_parquet("snappy.parquet")

pl.DataFrame(
    {
        "Time": [3, 1, 1, 3],
        "x": X[:, 0],
        "y": X[:, 1].astype("f4"),
        "label": ["a", "b", "b", "a"],
        "w": [1.0, 2.0, 3.0, 4.0],
    }
).write_parquet("zstd.parquet")

table = pa.table({"t": [3.0, 1.0, 1.0, 3.0], "x": X[:, 0], "y": [1, None, 3, 4]})
pq.write_table(table, "nulls.parquet", compression="zstd", data_page_version="2.0")
pq.write_table(table.select(["t", "x"]), "brotli.parquet", compression="brotli")
dates = pa.table({"t": pa.array([1, 2], pa.timestamp("ms")), "x": [1.0, 2.0]})
pq.write_table(dates, "dates.parquet", compression="gzip")

V = np.array([[0.25, -1.0, 1 / 3], [2**0.5, 5e-324, -0.0], [1e17, 0.1, 7.0], [-3.5, 2.0, 1e-7]])
np.savez(
    "velocity.npz",
    X=X,
    t=np.array([3, 1, 1, 3]),
    V=np.asfortranarray(V),
    single=V.astype("f4"),
    narrow=V[:, :2],
    gap=np.where(V == 0.1, np.nan, V),
    wave=V.astype(complex),
    pickled=V.astype(object),
    w=V,
)
cells = pd.DataFrame(X, columns=["x", "y", "z"])
cells[["u", "v", "w"]] = V
cells["day"] = [3, 1, 1, 3]
cells["who"] = ["a", "b", "c", "d"]
cells.to_parquet("velocity.parquet", index=False)
cells.to_csv("velocity.csv")

# Three particles at two times.
paths = np.arange(12.0).reshape(2, 3, 2)
np.savez(
    "growth.npz",
    X=np.asfortranarray(paths),
    t=[0.0, 1.5],
    w=np.asfortranarray([[0.5, 0.25, 2.0], [1.5, 0.25, 8.0]]),
    V=-paths,
    turned=np.ones((3, 2)),
)
