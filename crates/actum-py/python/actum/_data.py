"""Data of Python's as tables of the library."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _actum
from ._errors import DataError, FormatError, MissingError, ShapeError

Array = npt.NDArray[np.float64]
Given = Union["_actum.Table", str]
Keys = list[tuple[str, str]]
Names = Union[str, Sequence[str], None]

#: ``X`` of at most so many columns is taken for coordinates.
FEW = 100
#: The coordinates that scanpy computes.
PCA = "X_pca"


def is_anndata(data: Any) -> bool:
    return all(hasattr(data, name) for name in ("obs", "obsm", "var_names"))


def is_frame(data: Any) -> bool:
    return hasattr(data, "columns") and hasattr(data, "iloc")


def is_sparse(data: Any) -> bool:
    return hasattr(data, "toarray") and hasattr(data, "nnz")


def numbers(values: Any, what: str) -> npt.NDArray[Any]:
    """An array of real numbers, in its own type."""
    if values is None:
        raise FormatError(f"{what}: expected numbers, got None")
    if is_sparse(values):
        raise FormatError(
            f"{what} are sparse; transport and networks need few, dense columns: compute principal "
            "components (scanpy.pp.pca(adata)), or pass x.toarray()"
        )
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise DataError(f"{what} have masked entries; remove or impute those rows")
    array = np.asarray(values)
    if array.dtype.kind in "OSU":
        try:
            array = np.asarray(values, dtype=float)
        except (TypeError, ValueError):
            raise FormatError(
                f"{what}: expected numbers, got an array of type {array.dtype}; convert it, as "
                "numpy.asarray(x, dtype=float)"
            ) from None
        if np.asarray(values).dtype.kind != "O":
            raise FormatError(f"{what}: expected numbers, got text; convert it, as x.astype(float)")
    if array.dtype.kind not in "fiub":
        raise FormatError(f"{what}: expected real numbers, got an array of type {array.dtype}")
    return array


def matrix(values: Any, what: str = "points") -> Array:
    """Numbers ``[n, d]`` in double precision."""
    array = numbers(values, what)
    if array.ndim != 2:
        raise ShapeError(
            f"expected {what} of shape [n, d], got {list(array.shape)}"
            + ("; one column is x[:, None]" if array.ndim == 1 else "")
        )
    return np.asarray(array, dtype=np.float64)


def vector(values: Any, what: str) -> list[float]:
    """Numbers ``[n]``."""
    array = numbers(values, what)
    if array.ndim != 1:
        raise ShapeError(f"expected {what} of shape [n], got {list(array.shape)}")
    return [float(x) for x in array]


def _texts(values: Sequence[Any]) -> tuple[list[str], list[int]]:
    places: dict[str, int] = {}
    codes = [-1 if v is None else places.setdefault(v, len(places)) for v in values]
    return list(places), codes


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or repr(value) == "<NA>"


def column(name: str, values: Any) -> tuple[str, str, Any, Optional[list[int]]]:
    """A column of a table, as the library takes it."""
    kind = getattr(values, "dtype", None)
    if hasattr(kind, "categories"):
        accessor = getattr(values, "cat", values)
        codes = np.asarray(accessor.codes, dtype=np.int64)
        categories = accessor.categories
        inner = column(name, categories)
        if inner[1] in ("float64", "float32", "float16", "seconds"):
            lookup = np.append(np.asarray(inner[2]), np.nan)
            return name, inner[1], lookup[codes], None
        if inner[1] == "text" and inner[3] is not None:
            own = np.append(np.asarray(inner[3], dtype=np.int64), -1)
            return name, "text", inner[2], own[codes].tolist()
        return name, inner[1], codes, None
    if hasattr(values, "to_numpy") and getattr(kind, "na_value", None) is not None:
        # Nullable columns of pandas.
        letter = getattr(kind, "kind", "O")
        if letter in "iuf":
            values = values.to_numpy(dtype=float, na_value=np.nan)
        elif letter == "b":
            return name, "bool", np.zeros(len(values)), None
        elif letter not in "mM":
            values = np.asarray(values, dtype=object)
    if str(kind).startswith("period") or hasattr(kind, "tz"):
        return name, "date", np.zeros(len(values)), None
    array = np.asarray(values)
    if array.ndim != 1:
        raise ShapeError(f"column {name!r}: expected shape [n], got {list(array.shape)}")
    letter = array.dtype.kind
    if letter == "f":
        size = array.dtype.itemsize
        named = {2: "float16", 4: "float32"}.get(size, "float64")
        return name, named, array.astype(np.float64), None
    if letter in "iu":
        return name, "float64", array.astype(np.float64), None
    if letter == "b":
        return name, "bool", np.zeros(len(array)), None
    if letter == "m":
        return name, "seconds", array / np.timedelta64(1, "s"), None
    if letter == "M":
        return name, "date", np.zeros(len(array)), None
    if letter == "U":
        texts, codes_of = _texts(array.tolist())
        return name, "text", texts, codes_of
    if letter in "OT":
        listed = array.tolist()
        present = [v for v in listed if not _is_missing(v)]
        if present and all(isinstance(v, str) for v in present):
            texts, codes_of = _texts([None if _is_missing(v) else v for v in listed])
            return name, "text", texts, codes_of
        real = (int, float, np.integer, np.floating)
        if present and all(isinstance(v, real) and not isinstance(v, bool) for v in present):
            floats = [np.nan if _is_missing(v) else float(v) for v in listed]
            return name, "float64", np.array(floats), None
    return name, "else", np.zeros(len(array)), None


def joined(names: Names) -> Optional[str]:
    """Names of columns as a key of the library."""
    if names is None or isinstance(names, str):
        return names
    named = [str(name) for name in names]
    for name in named:
        if "," in name:
            raise DataError(f"the name of a column cannot have a comma here: {name!r}")
    return ",".join(named)


def _places(adata: Any) -> str:
    obsm = [f"obsm:{name}" for name in adata.obsm]
    x = [] if getattr(adata, "X", None) is None else ["X"]
    return ", ".join(obsm + x + [f"layer:{name}" for name in adata.layers if name])


def _of_anndata(adata: Any, key: Optional[str]) -> tuple[Optional[str], list[str], Array]:
    """The key of a matrix as the library names it, the names of its columns, and its numbers."""

    def whole(place: str, values: Any) -> tuple[str, list[str], Array]:
        kind, _, name = place.partition(":")
        if hasattr(values, "to_memory"):
            values = values.to_memory()
        if hasattr(values, "columns") and hasattr(values, "to_numpy"):
            return place, [str(c) for c in values.columns], matrix(values.to_numpy(), place)
        if is_sparse(values):
            values = values.toarray()
        elif not isinstance(values, np.ndarray) and hasattr(values, "shape"):
            values = values[:]
        array = matrix(values, place)
        if kind == "obsm":
            return place, [f"{name}{j + 1}" for j in range(array.shape[1])], array
        return place, [str(gene) for gene in adata.var_names], array

    if key is None:
        uns = getattr(adata, "uns", {}) or {}
        mark = uns.get("actum", {}) if hasattr(uns, "get") else {}
        own = mark.get("coordinates") if hasattr(mark, "get") else None
        if own is not None:
            return (None, *_of_anndata(adata, str(own))[1:])
        if PCA in adata.obsm:
            return (None, *whole(f"obsm:{PCA}", adata.obsm[PCA])[1:])
        x = adata.X
        count = 0 if x is None else x.shape[1]
        if 0 < count <= FEW:
            return (None, *whole("X", x)[1:])
        about = "X is empty" if count == 0 else f"X has {count} columns, more than {FEW}"
        raise MissingError(
            f"the coordinates are not told: obsm has no {PCA!r}, and {about}; choose a matrix with "
            f"rep= ({_places(adata)}), or compute principal components: scanpy.pp.pca(adata)"
        )
    kind, _, name = key.partition(":")
    if kind == "obsm" and name in adata.obsm:
        return whole(key, adata.obsm[name])
    if kind == "layer" and name in adata.layers:
        return whole(key, adata.layers[name])
    if key == "X" and adata.X is not None:
        return whole("X", adata.X)
    if key in adata.obsm:
        return whole(f"obsm:{key}", adata.obsm[key])
    return (key, *_columns(adata, [part.strip() for part in key.split(",")]))


def _columns(adata: Any, names: list[str]) -> tuple[list[str], Array]:
    """Columns by their names: of a matrix in obsm, of genes, or of obs."""
    for place in sorted(adata.obsm, key=lambda name: str(name) != PCA):
        _, there, values = _of_anndata(adata, f"obsm:{place}")
        if all(name in there for name in names):
            return names, values[:, [there.index(name) for name in names]]
    if adata.X is not None and all(name in adata.var_names for name in names):
        part = adata[:, names]
        values = part.X.toarray() if is_sparse(part.X) else part.X
        return names, matrix(values, "X")
    if all(name in adata.obs.columns for name in names):
        beside = [numbers(adata.obs[name].to_numpy(), f"obs[{name!r}]") for name in names]
        return names, matrix(np.stack(beside, axis=1), "obs")
    raise MissingError(
        f"no matrix has all the columns {names}; available: columns of X, obs and obsm, or all "
        f"columns of {_places(adata)}"
    )


def velocity_place(place: str, is_whole: bool) -> tuple[str, str]:
    """Where velocities of coordinates go in AnnData, as `actum annotate` writes them."""
    kind, _, name = place.partition(":")
    if is_whole and kind == "obsm":
        return "obsm", f"velocity_{name.removeprefix('X_')}"
    if is_whole and kind in ("X", "layer"):
        return "layers", "velocity"
    return "obsm", "velocity_actum"


def keys_of(time: Any, rep: Any, weight: Any, velocity: Any) -> Keys:
    named = {
        "time_key": time,
        "points_key": rep,
        "weight_key": weight,
        "velocity_key": velocity,
    }
    for name, value in named.items():
        if value is not None and not isinstance(value, str):
            parameter = {"points_key": "rep"}.get(name, name.removesuffix("_key"))
            raise DataError(f"{parameter}= names a column or matrix, got {type(value).__name__}")
    return [(name, value) for name, value in named.items() if value is not None]


def given(
    data: Any,
    *,
    time: Optional[str] = None,
    rep: Names = None,
    weight: Optional[str] = None,
    velocity: Any = None,
) -> tuple[Given, Keys]:
    """Data as the library takes them, and the keys that it remembers."""
    rep = joined(rep)
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data), keys_of(time, rep, weight, joined(velocity))
    if is_anndata(data):
        key, names, points = _of_anndata(data, rep)
        moving = None
        if velocity is not None:
            velocity_key, velocity_names, velocities = _of_anndata(data, joined(velocity))
            velocity, moving = velocity_key, (velocity_names, velocities)
        columns = [column(str(name), data.obs[name]) for name in data.obs.columns]
        if not columns:
            raise MissingError("obs has no columns, so there are no times")
        table = _actum.table(columns, (names, points), moving)
        return table, keys_of(time, key, weight, velocity)
    if hasattr(data, "to_pandas") and not is_frame(data):
        data = data.to_pandas()
    if is_frame(data):
        named = [str(name) for name in data.columns]
        columns = [column(name, data.iloc[:, j]) for j, name in enumerate(named)]
        if not columns or len(data) == 0:
            raise ShapeError(f"expected a table with rows and columns, got {data.shape}")
        return _actum.table(columns, None, None), keys_of(time, rep, weight, joined(velocity))
    return _of_arrays(data, time, rep, weight, velocity)


def _of_arrays(data: Any, time: Any, rep: Any, weight: Any, velocity: Any) -> tuple[Given, Keys]:
    if hasattr(data, "X") and hasattr(data, "t"):
        parts = {"X": data.X, "t": data.t, "w": getattr(data, "w", None)}
    elif isinstance(data, Mapping):
        parts = {"X": data.get("X"), "t": data.get("t"), "w": data.get("w")}
    elif isinstance(data, (tuple, list)) and len(data) in (2, 3):
        if any(is_anndata(part) for part in data):
            raise DataError(
                "expected one AnnData with a column of times, or arrays (X, t); an AnnData beside "
                "arrays is neither: put the times in adata.obs"
            )
        parts = dict(zip(("X", "t", "w"), [*data, None]))
    else:
        raise DataError(
            "expected AnnData, a data frame, arrays (X, t) or (X, t, w), or the name of a file; "
            f"got {type(data).__name__}"
        )
    if parts["X"] is None or parts["t"] is None:
        raise MissingError(f"expected arrays X and t; available: {', '.join(data)}")
    if time is not None or rep is not None or weight is not None:
        raise DataError("time=, rep= and weight= name columns, which arrays (X, t) do not have")
    points = matrix(parts["X"], "X")
    t = parts["t"]
    t = t if hasattr(t, "dtype") else np.asarray(t)
    if len(np.shape(t)) != 1 or len(t) != len(points):
        raise ShapeError(
            f"expected one time for each of {len(points)} points, got t of shape "
            f"{list(np.shape(t))}"
        )
    columns = [column("t", t)]
    if parts["w"] is not None:
        columns.append(column("w", np.asarray(vector(parts["w"], "w"))))
        if len(columns[1][2]) != len(points):
            raise ShapeError(f"expected one weight for each of {len(points)} points")
    names = [f"x{j}" for j in range(points.shape[1])]
    moving = None
    if velocity is not None:
        moving = (names, matrix(velocity, "velocities"))
    table = _actum.table(columns, (names, points), moving)
    return table, keys_of(None, None, None, None if moving is None else "V")
