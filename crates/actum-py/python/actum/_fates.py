"""Where cells end, and the genes that go with it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _actum, _data, _progress, _settings
from ._errors import DataError
from ._frames import frame
from ._progress import Progress

if TYPE_CHECKING:
    from ._run import Run

Array = npt.NDArray[np.float64]
Names = Union[str, Sequence[str], None]


class Fates:
    """Where the cells of some data end: see :meth:`actum.Run.fates`.

    Attributes
    ----------
    names : list of str, ``[l]``
        The fates.
    probabilities, low, high : numpy.ndarray ``[n, l]``
        The probability of every fate for every row of the data, and its 95 % interval.
    descendants : numpy.ndarray ``[n]``
        The mass that comes of a unit of mass of every row; 1 without growth.
    table : pandas.DataFrame
        A row for every row of the data: its name, time and label, and the probability of each fate.
    clones : dict or None
        How the fates compare with those of clones: AUC, squared error, calibration.
    drivers : pandas.DataFrame or None
        The genes that go with each fate, the strongest first: correlation, p, q, and the mean
        velocity of the gene on the way there with its interval. None where the data have no genes.
    trends : pandas.DataFrame or None
        The expression of genes at each time in cells that go to each fate.
    """

    def __init__(self, told: tuple[str, Array, Array, Array, Array]) -> None:
        text, *numbers = told
        found = json.loads(text)
        order = np.argsort(found["rows"])
        self.names: list[str] = found["fates"]
        self.probabilities, self.low, self.high, self.descendants = (x[order] for x in numbers)
        in_rows = {key: [found[key][i] for i in order] for key in ("cells", "times", "labels")}
        columns: dict[str, Any] = {
            "cell": in_rows["cells"],
            "time": in_rows["times"],
            "label": in_rows["labels"],
        }
        columns.update((f"p_{name}", self.probabilities[:, j]) for j, name in enumerate(self.names))
        self.table = frame(columns)
        self.clones: Optional[dict[str, Any]] = found["clones"]
        self.drivers: Any = None
        self.trends: Any = None
        if found["drivers"] is not None:
            rows = [
                _driver(fate, one)
                for fate, all_ in zip(self.names, found["drivers"])
                for one in all_
            ]
            self.drivers = _frame_of(rows)
        if found["trends"]:
            rows = [
                {**trend, "low": trend["interval"][0], "high": trend["interval"][1]}
                for trend in found["trends"]
            ]
            for row in rows:
                del row["interval"]
            self.trends = _frame_of(rows)

    def __repr__(self) -> str:
        return f"<actum.Fates: {len(self.probabilities)} cells, {', '.join(self.names)}>"


def _driver(fate: str, found: Mapping[str, Any]) -> dict[str, Any]:
    association = found["association"] or {}
    rate = found["rate"] or [None] * 3
    return {
        "fate": fate,
        "gene": found["gene"],
        **{name: association.get(name, np.nan) for name in ("correlation", "p", "q")},
        **{name: np.nan if x is None else x for name, x in zip(("rate", "low", "high"), rate)},
    }


def _frame_of(rows: list[dict[str, Any]]) -> Any:
    return frame({name: [row[name] for row in rows] for name in rows[0]} if rows else {})


@contextmanager
def as_file(data: Any) -> Iterator[str]:
    """Data as a file: what is in memory is written to a temporary one."""
    if isinstance(data, (str, os.PathLike)):
        yield os.fspath(data)
        return
    with tempfile.TemporaryDirectory(prefix="actum-") as folder:
        if _data.is_anndata(data):
            path = Path(folder) / "cells.h5ad"
            data.write_h5ad(path)
        elif _data.is_frame(data):
            path = Path(folder) / "cells.csv"
            data.to_csv(path, index=False)
        else:
            raise DataError(
                "fates need labels beside the points: give AnnData, a data frame or the name of a "
                f"file, got {type(data).__name__}"
            )
        yield str(path)


def names_of(genes: Names) -> Optional[list[str]]:
    """The names of genes; None for all."""
    if genes is None or isinstance(genes, str):
        return None if genes in (None, "all") else [str(genes)]
    return [str(gene) for gene in genes]


def ends(path: str, label: str, terminal: Names, neighbours: int, paths: int) -> dict[str, Any]:
    written = [terminal] if isinstance(terminal, str) else terminal
    return {
        "file": path,
        "label": label,
        "terminal": [str(text) for text in written or []],
        "neighbours": int(neighbours),
        "paths": int(paths),
    }


def changes(changed: Mapping[str, Any]) -> list[str]:
    """``{"GATA1": 0, "SPI1": "+1"}`` as the program takes it."""
    return [
        f"{gene}={to if isinstance(to, str) else repr(float(to))}" for gene, to in changed.items()
    ]


def known_genes(run: Run, path: str) -> None:
    """Learns the genes behind the coordinates of a run from data, where it does not know them."""
    from ._errors import MissingError

    try:
        _actum.genes_of(run._native)
    except MissingError:
        _actum.learn_genes(run._native, path)


def fates(
    run: Run,
    data: Any,
    label: str,
    terminal: Names,
    neighbours: int,
    paths: int,
    clones: Optional[str],
    genes: Names,
    progress: Progress,
) -> Fates:
    with as_file(data) as path, _progress.Shown(progress) as shown:
        if path.endswith((".h5ad", ".zarr")):
            known_genes(run, path)
        of = ends(path, label, terminal, neighbours, paths)
        named = names_of(genes)
        of_all = genes is not None and named is None
        return Fates(_actum.fates_of(run._native, of, clones, named, of_all, shown))


def perturb(
    run: Run,
    data: Any,
    changed: Mapping[str, Any],
    label: str,
    start: Any,
    terminal: Names,
    neighbours: int,
    paths: int,
) -> Any:
    with as_file(data) as path:
        known_genes(run, path)
        of = ends(path, label, terminal, neighbours, paths)
        begin = None if start is None else _settings.label_of(start)
        told = json.loads(_actum.perturb(run._native, of, begin, changes(changed)))
    if told["shift"] > 1:
        _progress.say([], ["the cells are shifted far from all that was learned"])
    return _frame_of([_effect(one) for one in told["effects"]])


def screen(
    run: Run,
    data: Any,
    genes: Names,
    to: Any,
    label: str,
    start: Any,
    terminal: Names,
    neighbours: int,
    paths: int,
    progress: Progress,
) -> Any:
    with as_file(data) as path, _progress.Shown(progress) as shown:
        known_genes(run, path)
        of = ends(path, label, terminal, neighbours, paths)
        begin = None if start is None else _settings.label_of(start)
        text = to if isinstance(to, str) else repr(float(to))
        told = json.loads(_actum.screen(run._native, of, begin, names_of(genes), text, shown))
    rows = [
        {"gene": gene, **_effect(one)}
        for gene, effects in zip(told["genes"], told["effects"])
        for one in effects
    ]
    return _frame_of(rows)


def _effect(told: Mapping[str, Any]) -> dict[str, Any]:
    low, high = told["interval"]
    names = ("fate", "before", "after", "difference")
    return {**{name: told[name] for name in names}, "low": low, "high": high}
