"""Every time left out in turn."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from typing import Any, Optional

from . import _actum, _data, _progress, _settings
from ._frames import frame, table_html
from ._progress import Progress
from ._report import PathLike


class Evaluation:
    """What :func:`evaluate` found: tables, and which method to use.

    Attributes
    ----------
    report : dict
        All numbers, as ``actum evaluate --json`` prints them.
    settings : dict or None
        Those of the best method for a fit to all times: ``actum.fit(data, set=e.settings)``.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.report: dict[str, Any] = told["report"]
        self.units: str = told["units"]
        self.settings: Optional[dict[str, Any]] = told["settings"]

    @property
    def times(self) -> list[str]:
        """The times that were left out."""
        return list(self.report["times"])

    @property
    def best(self) -> Optional[str]:
        """The method that :attr:`advice` is for."""
        best = self.report["best"]
        return None if best is None else str(best)

    @property
    def advice(self) -> str:
        """Which method to use, in a sentence."""
        return str(self.report["advice"])

    @property
    def notes(self) -> list[str]:
        """What limits these numbers."""
        return list(self.report["notes"])

    def table(self, protocol: Optional[str] = None) -> Any:
        """Means over the times, a row for each method and reference.

        Parameters
        ----------
        protocol : ``"previous"``, ``"first"`` or ``"both"``, optional
            From where points were moved; by default the first that was asked for.

        Returns
        -------
        pandas.DataFrame, or arrays by name
        """
        rows = []
        for line in self._lines(protocol):
            mean, less = line["mean"], line["energy_less_linear"]
            rows.append(
                {
                    "method": line["name"],
                    "fitted": line["fitted"],
                    "w1": mean["w1"]["mean"] if mean else None,
                    "w2": mean["w2"] if mean else None,
                    "mmd_squared": mean["mmd_squared"] if mean else None,
                    "energy": mean["unbiased_energy"]["mean"] if mean else None,
                    "energy_less_linear": less["mean"] if less else None,
                    "wins": less["wins"] if less else None,
                }
            )
        return frame({name: [row[name] for row in rows] for name in rows[0]})

    def at_times(self, protocol: Optional[str] = None) -> Any:
        """The same at every left-out time: a row for each method and time."""
        rows = [
            {
                "method": line["name"],
                "time": time,
                "w1": point["w1"],
                "w1_error": point["w1_error"],
                "energy": point["unbiased_energy"],
                "energy_error": point["energy_error"],
            }
            for line in self._lines(protocol)
            for time, point in zip(self.times, line["at"])
            if point is not None
        ]
        return frame({name: [row[name] for row in rows] for name in rows[0]})

    def _lines(self, protocol: Optional[str]) -> list[dict[str, Any]]:
        tables = self.report["tables"]
        names = [table["protocol"] for table in tables]
        if protocol is not None and protocol not in names:
            from ._errors import MissingError

            raise MissingError(f"the protocol {protocol!r} is not there; available: {names}")
        chosen = tables[0] if protocol is None else tables[names.index(protocol)]
        return list(chosen["rows"])

    def __repr__(self) -> str:
        return f"<actum.Evaluation: best {self.best}, times {', '.join(self.times)}>"

    def _repr_html_(self) -> str:
        rows = [["", "W1", "energy"]]
        for line in self._lines(None):
            mean = line["mean"]
            cells = [f"{mean[k]['mean']:.4g}" if mean else "" for k in ("w1", "unbiased_energy")]
            rows.append([html.escape(line["name"]), *cells])
        return f"<p>{html.escape(self.advice)}</p>" + table_html(rows)


def evaluate(
    data: Any,
    *,
    time: Optional[str] = None,
    rep: _data.Names = None,
    weight: Optional[str] = None,
    velocity: Any = None,
    dims: Optional[int] = None,
    standardize: Optional[bool] = None,
    mass: Any = None,
    methods: Sequence[str] = (),
    set: _settings.Set = None,
    protocols: Sequence[str] = ("previous", "both"),
    nested: bool = False,
    seeds: int = 1,
    points: int = 10_000,
    output: Optional[PathLike] = None,
    progress: Progress = None,
) -> Evaluation:
    """Leaves out every time in turn and says which method predicts it best.

    Parameters
    ----------
    data, time, rep, weight, velocity, dims, standardize, mass
        As in :func:`fit`.
    methods : list of str
        What to fit: ``lines``, ``clocked`` or another name that ``actum evaluate --help`` lists,
        or files ``NAME.toml``. Default: lines, clocked, and growth where masses differ.
    set : mapping, optional
        Settings of all methods, as in :func:`fit`.
    protocols : list of str
        Move the points of the time before (``previous``), of the first (``first``), or of both
        neighbours (``both``).
    nested : bool
        Leave out a second time inside, to choose among the methods.
    seeds : int
        Fit every method from so many seeds.
    points : int
        Take distances of at most so many points of a time.
    output : path, optional
        A folder that keeps what is finished: the same call goes on where it stopped.
    progress
        As in :func:`fit`.

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> import actum
    >>> cells = actum.gallery.branching(n=40, times=[0, 20, 48])
    >>> small = {"fit.steps": 10, "network.width": 8}
    >>> found = actum.evaluate(cells, methods=["lines"], set=small, progress=False)
    >>> found.times
    ['20']
    """
    table, keys = _data.given(data, time=time, rep=rep, weight=weight, velocity=velocity)
    own = _settings.changes(None, data__dims=dims, data__standardize=standardize, data__mass=mass)
    how = {
        "methods": [methods] if isinstance(methods, str) else list(methods),
        "protocols": [protocols] if isinstance(protocols, str) else list(protocols),
        "seeds": int(seeds),
        "nested": bool(nested),
        "points": int(points),
        "output": None if output is None else os.fspath(output),
    }
    with _progress.Shown(progress) as shown:
        told = json.loads(_actum.evaluate(table, keys, own, _settings.flat(set), how, shown))
    _progress.say(told["notes"], told["warnings"])
    return Evaluation(told)
