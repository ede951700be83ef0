"""Fits, and what they can do."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Optional, Union, overload

import numpy as np
import numpy.typing as npt

from . import _actum, _data, _fates, _settings
from ._errors import ActumError, DataError, MissingError, ShapeError
from ._frames import frame, table_html
from ._plot import Plot
from ._progress import Progress
from ._report import PathLike, Report

Array = npt.NDArray[np.float64]
Time = Union[float, int, str]
#: What a prediction is measured by.
DISTANCES = ("w1", "w2", "mmd_squared", "energy", "mass_error")
Times = Union[Time, Sequence[Time], npt.NDArray[Any]]


class Motion:
    """A learned motion ``dx = v_t(x) dt + sigma_t dW``, ``d log w = g_t(x) dt``.

    Points are arrays ``[n, d]`` in the units of the data; times are numbers in its unit.
    """

    _native: _actum.Motion

    def __init__(self, native: _actum.Motion) -> None:
        self._native = native

    def _points(self, points: Any) -> Array:
        array = _data.matrix(points)
        if array.shape[1] != self.dimension:
            raise ShapeError(
                f"the motion is of {self.dimension} columns, got points of shape "
                f"{list(array.shape)}"
            )
        return array

    def _time(self, t: Any) -> float:
        if isinstance(t, str):
            raise DataError(f"expected a time as a number, got {t!r}")
        return float(t)

    @property
    def dimension(self) -> int:
        """The number of columns, d."""
        return self._native.dimension

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last time."""
        first, last = self._native.span
        return first, last

    @property
    def grows(self) -> bool:
        """Whether mass is born and dies."""
        return self._native.grows

    @property
    def is_noisy(self) -> bool:
        """Whether points move at random."""
        return self._native.is_noisy

    def _described(self, points: Any, t: Any) -> tuple[Array, Array, Array, Array, Array]:
        array = self._points(points)
        if isinstance(t, str) or np.ndim(t) == 0:
            return self._native.describe(array, self._time(t))
        at = np.array([self._time(one) for one in t])
        if at.shape != (len(array),):
            raise ShapeError(
                f"expected one time or {len(array)}, one for each point, got {len(at)}"
            )
        parts: list[Array] = [np.empty(len(array)) for _ in range(5)]
        parts[1] = np.empty_like(array)
        for one in np.unique(at):
            rows = at == one
            for part, told in zip(parts, self._native.describe(array[rows], one)):
                part[rows] = told
        return parts[0], parts[1], parts[2], parts[3], parts[4]

    def velocity(self, points: Any, t: Times) -> Array:
        """The velocity of points.

        Parameters
        ----------
        points : array ``[n, d]``, AnnData or data frame
            Where to look.
        t : time, or one for each point
            When; a number, or a label such as ``"Day 2"`` where the data had labels.

        Returns
        -------
        numpy.ndarray ``[n, d]``
            In units of the coordinates per unit of time.

        Raises
        ------
        DataError
            Points of another dimension or not finite, a time outside of what was learned.
        """
        return self._described(points, t)[1]

    def growth(self, points: Any, t: Times) -> Array:
        """The growth rate ``lambda s`` of points, ``[n]``, per unit of time; 0 without growth.

        Parameters are those of :meth:`velocity`.
        """
        return self._described(points, t)[3]

    def action(self, points: Any, t: Times) -> Array:
        """The action ``s_t(x)`` of points, ``[n]``, in the units of the cost.

        Without growth it is defined up to a function of time. Parameters are those of
        :meth:`velocity`.
        """
        return self._described(points, t)[0]

    @overload
    def simulate(
        self,
        points: Any,
        times: Optional[Times] = ...,
        *,
        start: Optional[Time] = ...,
        weights: Any = ...,
        seed: Optional[int] = ...,
        return_weights: Literal[False] = ...,
    ) -> Array: ...

    @overload
    def simulate(
        self,
        points: Any,
        times: Optional[Times] = ...,
        *,
        start: Optional[Time] = ...,
        weights: Any = ...,
        seed: Optional[int] = ...,
        return_weights: Literal[True],
    ) -> tuple[Array, Array]: ...

    def simulate(
        self,
        points: Any,
        times: Optional[Times] = None,
        *,
        start: Optional[Time] = None,
        weights: Any = None,
        seed: Optional[int] = None,
        return_weights: bool = False,
    ) -> Union[Array, tuple[Array, Array]]:
        """Moves points along the motion, forward or backward.

        Parameters
        ----------
        points : array ``[n, d]``, AnnData or data frame
            The points to move, all of them.
        times : times ``[k]``
            When to record, on one side of `start` and away from it. Of a run: by default all times
            of the data after `start`.
        start : time, optional
            The time of the points; by default the first.
        weights : array ``[n]``, optional
            Their weights; by default ``1/n`` each.
        seed : int, optional
            Seeds the noise, where there is some. By default 0, of a run the seed of its fit.
        return_weights : bool
            Also returns the weights ``[k, n]``, which change with growth.

        Returns
        -------
        numpy.ndarray ``[k, n, d]``, or a tuple with the weights
            The points at the times.

        Raises
        ------
        DataError
            As :meth:`velocity`; times that are not ordered away from `start`.
        SettingError
            Noise backward in time.
        """
        array = self._points(points)
        begin = self.span[0] if start is None else self._time(start)
        if times is None:
            asked = [t for t in self._times() if t > begin]
            if not asked:
                raise DataError(f"{begin:g} is the last time; say where to go with times=")
        elif isinstance(times, str) or np.ndim(times) == 0:
            asked = [self._time(times)]
        else:
            asked = [self._time(t) for t in times]  # type: ignore[union-attr]
        mass = None if weights is None else _data.vector(weights, "weights")
        chance = self._seed() if seed is None else int(seed)
        moved, changed = self._native.simulate(array, mass, begin, asked, chance)
        return (moved, changed) if return_weights else moved

    def _times(self) -> list[float]:
        return [self.span[1]]

    def _seed(self) -> int:
        return 0

    def log_density(
        self,
        points: Any,
        t: Time,
        base: Callable[[Array], Any],
        *,
        base_time: Optional[Time] = None,
        probes: Optional[int] = None,
    ) -> Array:
        """``log q_t(x)`` of points, carried along the flow from a density that is known.

        Parameters
        ----------
        points : array ``[n, d]``
            Where.
        t : time
            When.
        base : callable
            The log density ``[n]`` at `base_time` of points ``[n, d]``, such as
            ``scipy.stats.gaussian_kde(x.T).logpdf`` after a transposition.
        base_time : time, optional
            By default the first.
        probes : int, optional
            Seeds Hutchinson's estimate of the divergence; by default it is exact.

        Returns
        -------
        numpy.ndarray ``[n]``
            Per unit of volume of the coordinates; with growth the density times the mass.

        Raises
        ------
        SettingError
            A motion with noise.
        """
        at = self.span[0] if base_time is None else self._time(base_time)

        def checked(x: Array) -> Array:
            found = np.ascontiguousarray(_data.numbers(base(x), "the base density"), dtype=float)
            if found.shape != (len(x),):
                raise ShapeError(
                    f"the base density must be of shape [{len(x)}], one for each point, got "
                    f"{list(found.shape)}"
                )
            if not np.isfinite(found).all():
                raise DataError("the base density is not finite at all points")
            return found

        array = self._points(points)
        return self._native.log_density(array, self._time(t), checked, at, probes)

    def save(self, path: PathLike) -> None:
        """Writes the motion to a file in safetensors, as the program does."""
        self._native.write(os.fspath(path))

    def __reduce__(self) -> Any:
        return _unpacked, (type(self), self._native.pack())

    def __copy__(self) -> Motion:
        return self

    def __deepcopy__(self, memo: Any) -> Motion:
        # It does not change.
        return self

    def __repr__(self) -> str:
        first, last = self.span
        more = ", grows" * self.grows + ", with noise" * self.is_noisy
        name = type(self).__name__
        return f"<actum.{name}: {self.dimension} columns, times {first:g} to {last:g}{more}>"


def _unpacked(kind: type[Motion], packed: bytes) -> Motion:
    return kind(_actum.Motion.unpack(packed))


class PathMotion(Motion):
    """What :func:`fit_path` learned: a :class:`Motion`, and how the fit went."""

    def __init__(self, native: _actum.Motion, losses: Optional[list[tuple[int, float]]] = None):
        super().__init__(native)
        self._losses = losses or []

    @property
    def log(self) -> Any:
        """The objective after every step, smoothed: a data frame, or arrays by name."""
        steps, values = [step for step, _ in self._losses], [x for _, x in self._losses]
        return frame({"step": steps, "smoothed": values})


class Run(Motion):
    """A fit to snapshots: what was learned, from what and how.

    :func:`fit` and :func:`load` make one. Its folder is that of the program: ``actum score`` and
    the other commands take it.
    """

    _native: _actum.Run

    def __init__(self, native: _actum.Run, data: Any = None) -> None:
        super().__init__(native)
        self._data = data
        self._told = json.loads(native.told())
        self._moving: Optional[str] = None

    # What was fitted.

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, as nested dictionaries; :attr:`toml` is the file of them."""
        return dict(self._told["settings"])

    @property
    def toml(self) -> str:
        """All settings as TOML, which ``config=`` and ``--config`` take."""
        return self._native.toml()

    @property
    def source(self) -> dict[str, Any]:
        """What the data were: name, hash, times, counts, columns."""
        return dict(self._told["source"])

    @property
    def folder(self) -> Path:
        """Where it is on disk; a temporary folder until it is saved."""
        return Path(self._native.folder)

    @property
    def labels(self) -> list[str]:
        """The times as the data write them."""
        return list(self._told["source"]["labels"])

    @property
    def times(self) -> Array:
        """The times as numbers, ``[K]``."""
        return np.array(self._told["source"]["times"])

    @property
    def columns(self) -> list[str]:
        """The names of the coordinates, ``[d]``."""
        return list(self._told["source"]["columns"])

    @property
    def held_out(self) -> list[str]:
        """The times that the fit did not see."""
        return list(self._told["settings"]["data"]["hold_out"])

    @property
    def log(self) -> Any:
        """The logged steps: a data frame, or arrays by name where pandas is not there."""
        steps = [r for r in json.loads(self._native.log()) if r["event"] == "step"]
        names = ("step", "loss", "smoothed", "gradient_norm", "learning_rate")
        return frame({name: [step[name] for step in steps] for name in names})

    @property
    def objective(self) -> float:
        """The level of the objective at the end."""
        steps = [r for r in json.loads(self._native.log()) if r["event"] == "step"]
        return float(steps[-1]["smoothed"]) if steps else float("nan")

    def _seed(self) -> int:
        return int(self._told["settings"]["fit"]["seed"])

    def _times(self) -> list[float]:
        return list(self._told["source"]["times"])

    def _time(self, t: Any) -> float:
        return self._native.time_of(_settings.label_of(t)) if isinstance(t, str) else float(t)

    # Data.

    def _keys(self) -> dict[str, Any]:
        data = self._told["settings"]["data"]
        return {
            "time": data.get("time_key"),
            "rep": data.get("points_key"),
            "weight": data.get("weight_key"),
        }

    def _given(self, data: Any) -> Any:
        """Data as this run sees them; those that it was fitted on where none are given."""
        data = self._own(data)
        arrays = not (
            _data.is_anndata(data)
            or _data.is_frame(data)
            or hasattr(data, "to_pandas")
            or isinstance(data, (str, os.PathLike))
        )
        keys = {} if arrays else self._keys()
        return _data.given(data, **keys)[0]

    def _own(self, data: Any) -> Any:
        if data is not None:
            return data
        if self._data is not None:
            return self._data
        name = self._told["source"]["data"]
        if Path(name).is_file():
            return name
        raise MissingError("name the data: this run does not know where those of its fit are")

    def _points(self, points: Any) -> Array:
        if _data.is_anndata(points):
            _, names, array = _data._of_anndata(points, self._keys()["rep"])
            return super()._points(self._chosen(names, array))
        if _data.is_frame(points):
            names = [str(name) for name in points.columns]
            lacking = [name for name in self.columns if name not in names]
            if lacking:
                raise MissingError(
                    f"the run was fitted on the columns {', '.join(self.columns)}; this data frame "
                    f"lacks {', '.join(lacking)}"
                )
            return super()._points(
                points.iloc[:, [names.index(c) for c in self.columns]].to_numpy()
            )
        return super()._points(points)

    def _chosen(self, names: list[str], array: Array) -> Array:
        if all(name in names for name in self.columns):
            return array[:, [names.index(name) for name in self.columns]]
        return array

    # What it can do.

    def score(self, data: Any = None, *, at: Any = None, start: Optional[Time] = None) -> Any:
        """Predicts times and compares with the real points there, beside reference rows.

        Parameters
        ----------
        data : AnnData, data frame, arrays, or a file
            Real points, held-out times included; by default those of the fit.
        at : time or times, optional
            What to predict; by default the held-out times, else all but the first.
        start : time, optional
            The time whose real points are moved; by default the last before that the fit saw.

        Returns
        -------
        pandas.DataFrame, or arrays by name where pandas is not there
            A row for each time and prediction (``action matching``, ``previous snapshot``, ``next
            snapshot``, ``linear transport``, ``two samples``): ``w1``, ``w2``, ``mmd_squared``,
            ``energy`` and ``mass_error``.
        """
        begin = None if start is None else _settings.label_of(start)
        told = self._native.score(self._given(data), begin, _settings.times(at))
        rows = [
            {
                "from": score["from"],
                "at": score["at"],
                "held_out": score["held_out"],
                "prediction": name,
                **{key: distances[key] for key in DISTANCES},
            }
            for score in json.loads(told)
            for name, distances in score["rows"]
        ]
        return frame({name: [row[name] for row in rows] for name in rows[0]} if rows else {})

    def report(
        self,
        path: Optional[PathLike] = None,
        *,
        data: Any = None,
        label_key: Optional[str] = None,
    ) -> Report:
        """One page about the run: what was learned, how well it predicts, and the motion.

        Parameters
        ----------
        path : path, optional
            Where to write it, ``.html``; nothing is written without one.
        data : AnnData, data frame, arrays, or a file
            What to show; by default the data of the fit.
        label_key : str, optional
            A column of labels, such as ``"cell_type"``, of AnnData, a data frame or a file: points
            are coloured by them, and their fates are told.

        Returns
        -------
        Report
            A notebook shows it.

        Raises
        ------
        MissingError
            No such column; data that are not known any more.
        DataError
            Arrays, which have no column of labels.
        """
        page, summary = self._page(data, label_key, False)
        report = Report(page, summary)
        if path is not None:
            report.save(path)
        return report

    def _page(self, data: Any, label_key: Optional[str], moving: bool) -> tuple[str, list[str]]:
        data = self._own(data)
        labels = None
        if label_key is not None and not isinstance(data, (str, os.PathLike)):
            table = data.obs if _data.is_anndata(data) else data
            if not _data.is_frame(table):
                raise DataError("labels are a column of AnnData, a data frame or a file")
            if label_key not in table.columns:
                known = ", ".join(str(name) for name in table.columns)
                raise MissingError(f"there is no column {label_key!r}; available: {known}")
            column = table[label_key]
            labels = ["" if gone else str(x) for x, gone in zip(column, column.isna())]
        return self._native.page(self._given(data), label_key, labels, moving)

    def annotate(self, data: Any = None, *, copy: bool = False) -> Any:
        """Adds what the action says of every row to the data.

        To AnnData, in place: velocities beside the coordinates (``obsm["velocity_pca"]`` for
        ``X_pca``, ``layers["velocity"]`` for ``X``, else ``obsm["velocity_actum"]`` with
        ``obsm["X_actum"]``) and ``obs["actum_action"]``, ``obs["actum_speed"]`` (distance per
        time), ``obs["actum_energy"]`` and, with growth, ``obs["actum_growth"]`` (per time). To a
        data frame, in place: ``v_NAME`` for every coordinate, and the columns of ``obs``.

        Parameters
        ----------
        data : AnnData or data frame
            By default that of the fit.
        copy : bool
            Leaves `data` alone and returns a copy with more in it.

        Returns
        -------
        None, or the copy; of arrays a dictionary of arrays, rows in their order.
        """
        data = self._own(data)
        columns, points, velocities, numbers = self._native.annotate(self._given(data))
        if _data.is_anndata(data):
            data = data.copy() if copy else data
            key, names, _ = _data._of_anndata(data, self._keys()["rep"])
            place = key or self._default_place(data)
            group, name = _data.velocity_place(place, names == columns)
            # Layers are in single precision, as the program writes them.
            kind = np.float32 if group == "layers" else np.float64
            getattr(data, group)[name] = velocities.astype(kind)
            if name == "velocity_actum":
                data.obsm["X_actum"] = points
            for name, values in numbers:
                data.obs[name] = values
            return data if copy else None
        if _data.is_frame(data):
            data = data.copy() if copy else data
            for j, name in enumerate(columns):
                data[f"v_{name}"] = velocities[:, j]
            for name, values in numbers:
                data[name] = values
            return data if copy else None
        return {"velocity": velocities, **dict(numbers)}

    @staticmethod
    def _default_place(adata: Any) -> str:
        return f"obsm:{_data.PCA}" if _data.PCA in adata.obsm else "X"

    def fates(
        self,
        data: Any = None,
        *,
        label: str,
        terminal: _fates.Names = None,
        neighbours: int = 20,
        paths: int = 20,
        clones: Optional[str] = None,
        genes: _fates.Names = None,
        progress: Progress = None,
    ) -> _fates.Fates:
        """Where cells end: a probability of every label at the last time.

        Every cell is moved to the last time and takes the labels of its nearest neighbours there;
        with noise along many paths, with growth weighted by the mass that comes of it.

        Parameters
        ----------
        data : AnnData, data frame, or a file
            The cells; by default those of the fit. AnnData and data frames in memory are written to
            a temporary file.
        label : str
            The column of labels, such as ``"cell_type"``.
        terminal : str or list of str, optional
            The labels that are fates, ``"LABEL"`` or ``"LABEL@TIME"``; all others at the last time
            count together as ``other``. By default each label of the last time is a fate.
        neighbours, paths : int
            How many neighbours say where a path ends, and how many paths a cell takes with noise.
        clones : str, optional
            A column of clones to compare with.
        genes : str or list of str, optional
            The genes whose trends are told, or ``"all"``; by default the strongest drivers.
        progress
            As in :func:`actum.fit`.

        Returns
        -------
        Fates
            The bits of ``actum fates``.

        Raises
        ------
        MissingError
            No such column, label or gene.
        """
        data = self._own(data)
        return _fates.fates(self, data, label, terminal, neighbours, paths, clones, genes, progress)

    def perturb(
        self,
        changes: Mapping[str, Any],
        data: Any = None,
        *,
        label: str,
        start: Optional[Time] = None,
        terminal: _fates.Names = None,
        neighbours: int = 20,
        paths: int = 20,
    ) -> Any:
        """What changes of expression would do to the fates of the cells of one time.

        Parameters
        ----------
        changes : mapping
            What the genes become: a number, or a text such as ``"+1"`` for a shift, as
            ``{"GATA1": 0, "SPI1": "+1"}``.
        data, label, terminal, neighbours, paths
            As in :meth:`fates`; the data must lead from the coordinates back to genes.
        start : time, optional
            The time of the cells; by default the first.

        Returns
        -------
        pandas.DataFrame
            A row for each fate: its mean probability ``before`` and ``after``, the ``difference``
            and its 95 % interval from ``low`` to ``high``.

        Raises
        ------
        MissingError
            Genes that the coordinates do not know.
        DataError
            Genes that the coordinates hardly see.
        """
        data = self._own(data)
        return _fates.perturb(self, data, changes, label, start, terminal, neighbours, paths)

    def screen(
        self,
        genes: _fates.Names = None,
        data: Any = None,
        *,
        to: Any,
        label: str,
        start: Optional[Time] = None,
        terminal: _fates.Names = None,
        neighbours: int = 20,
        paths: int = 20,
        progress: Progress = None,
    ) -> Any:
        """What a change of each gene alone would do.

        Parameters
        ----------
        genes : str or list of str, optional
            Which; by default all. Those that the coordinates hardly see are left out.
        to : number or str
            What each becomes, as in :meth:`perturb`.
        data, label, start, terminal, neighbours, paths
            As in :meth:`perturb`.
        progress
            As in :func:`actum.fit`.

        Returns
        -------
        pandas.DataFrame
            The columns of :meth:`perturb` for every ``gene``.
        """
        data = self._own(data)
        return _fates.screen(
            self, data, genes, to, label, start, terminal, neighbours, paths, progress
        )

    @property
    def genes(self) -> list[str]:
        """The genes behind the coordinates.

        Raises
        ------
        MissingError
            It knows none: it was not fitted on the file of cells whose loadings lead back to genes.
        """
        return _actum.genes_of(self._native)

    def expression(self, points: Any, genes: _fates.Names = None) -> Any:
        """The expression of genes at points, such as moved cells.

        Parameters
        ----------
        points : array ``[n, d]``, AnnData or data frame
            Where.
        genes : str or list of str, optional
            Which; by default all that the run knows.

        Returns
        -------
        pandas.DataFrame ``[n, g]``
            In the units of ``X``.
        """
        names, table = _actum.decode(self._native, self._points(points), _fates.names_of(genes))
        return frame({name: table[:, j].tolist() for j, name in enumerate(names)})

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Copies the run to a folder, which the program and :func:`load` read.

        Parameters
        ----------
        path : path
            The folder to make.
        overwrite : bool
            Replaces the run that is there.

        Raises
        ------
        ExistsError
            The folder is there already, or holds something else than a run.
        """
        self._native.copy(os.fspath(path), overwrite)

    @property
    def plot(self) -> Plot:
        """Pictures, see :class:`actum.Plot`."""
        return Plot(self)

    def __reduce__(self) -> Any:
        return _of_files, (self._native.files(),)

    def _facts(self) -> list[tuple[str, str]]:
        settings, source = self._told["settings"], self._told["source"]
        held = ", ".join(self.held_out) or "none"
        return [
            ("steps", str(settings["fit"]["steps"])),
            ("objective", f"{self.objective:.4g}"),
            ("times", ", ".join(self.labels)),
            ("held out", held),
            ("points", ", ".join(str(count) for count in source["counts"])),
            ("columns", _abridged(self.columns)),
            ("data", source["data"]),
        ]

    def __repr__(self) -> str:
        facts = dict(self._facts())
        return (
            f"<actum.Run: {facts['steps']} steps, objective {facts['objective']}, times "
            f"{facts['times']} (held out: {facts['held out']}), {self.dimension} columns>"
        )

    def _repr_html_(self) -> str:
        rows = [[html.escape(name), html.escape(value)] for name, value in self._facts()]
        facts = "<b>actum.Run</b>" + table_html(rows)
        if self._moving is None:
            try:
                self._moving = Report(*self._page(None, None, True))._repr_html_()
            except (ActumError, OSError):
                # The data are gone, or nothing of them can move: the facts are still true.
                self._moving = ""
        return facts + self._moving


def _abridged(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f", ... ({len(names)})" if len(names) > 6 else "")


def _of_files(files: list[tuple[str, bytes]]) -> Any:
    native = _actum.Run.of_files(files)
    if native.is_of_images:
        from .images import ImageRun

        return ImageRun(native)
    return Run(native)
