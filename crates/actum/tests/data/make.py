"""Makes the files beside it, with NumPy 2.4.6, pandas 3.1.1, Polars 2.1.0 and PyArrow 26.0.1."""

from decimal import Decimal

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

# Types beside the usual ones, in 24 rows.
rows = np.arange(24)
day = rows % 2
money = [Decimal(int(k) - 7).scaleb(-2) for k in rows]
pq.write_table(
    pa.table(
        {
            "day": day,
            "half": pa.array((rows / 4).astype("f2")),
            "money": pa.array(money, pa.decimal128(9, 2)),
            "wide": pa.array(money, pa.decimal256(50, 4)),
            "long": pa.array([Decimal("12345678901234.567") + k for k in money], pa.decimal128(38, 20)),
        }
    ),
    "types.parquet",
)
pq.write_table(
    pa.table({"day": day, "whole": pa.array(money, pa.decimal128(9, 2)), "x": rows / 7}),
    "whole.parquet",
    store_decimal_as_integer=True,
)
vectors = [[k / 3, -k / 3] for k in rows]
pq.write_table(
    pa.table(
        {
            "day": day,
            "list": pa.array(vectors, pa.list_(pa.float64())),
            "fixed": pa.array(vectors, pa.list_(pa.float32(), 2)),
            "x": rows / 7,
        }
    ),
    "lists.parquet",
)
pq.write_table(
    pa.table(
        {
            "day": day,
            "text": [f"{k / 7:.3f}" for k in rows],
            "code": [str(k % 3) for k in rows],
            "flag": rows % 2 == 0,
            "date": pa.array(rows.astype("i4"), pa.date32()),
            "x": rows / 7,
        }
    ),
    "texts.parquet",
)
hours = 3 * (rows % 3)
pq.write_table(
    pa.table(
        {
            **{unit: pa.array(3600 * hours * 1000**k, pa.duration(unit)) for k, unit in enumerate(["s", "ms", "us", "ns"])},
            "gap": pa.array([None, *hours[1:].tolist()], pa.duration("s")),
            "x": rows / 7,
        }
    ),
    "durations.parquet",
)
pl.DataFrame({"t": pl.Series(hours).cast(pl.Duration("us")), "x": rows / 7}).write_parquet("polars.parquet")
cells = pd.DataFrame(
    {
        "day": day,
        "what": pd.Categorical(rows % 5),
        "x": rows / 7,
        "y": rows / 11,
        "coded": pd.Categorical(rows / 13),
        "tags": [["a", "b"]] * 24,
        "deep": [[[1.0], [2.0]]] * 24,
        "gone": [None] * 24,
        "late": pd.to_timedelta(rows, "h"),
    }
)
cells.index = pd.Index(5 * rows, name="probe")
cells.to_parquet("categorical.parquet")
labels = pa.table({"day": ["d1", None, "d2", None], "x": [1.0, 2.0, 3.0, 4.0]})
pq.write_table(labels, "untimed.parquet")
np.savez(
    "types.npz",
    X=(rows / 4).astype("f2").reshape(12, 2),
    t=np.tile([0, 3, 6], 4).astype("m8[h]"),
    fine=np.tile([0, 90, 180], 4).astype("m8[m]").astype("m8[ns]"),
    gap=np.array([0, "NaT"] * 6, "m8[s]"),
    half=np.repeat([0.1, 0.2], 6).astype("f2"),
    dates=np.arange(12).astype("M8[us]"),
    cells=np.zeros(12, [("day", "f8"), ("PC_1", "f8"), ("PC_2", "f8")]),
    flags=np.ones((12, 2), bool),
)
np.save("points.npy", np.asfortranarray(X))
