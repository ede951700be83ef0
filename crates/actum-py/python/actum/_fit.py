"""The doors: runs that are made, and runs that are opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np

from . import _actum, _data, _progress, _settings
from ._errors import DataError, ShapeError
from ._progress import Progress
from ._report import PathLike
from ._run import Array, Motion, PathMotion, Run


def load(path: PathLike) -> Any:
    """Opens a run in a folder, or a motion in a file.

    Parameters
    ----------
    path : path
        A folder that :func:`fit`, :meth:`Run.save` or the program made, or a file that
        :meth:`Motion.save` made.

    Returns
    -------
    Run, ImageRun or Motion

    Raises
    ------
    MissingError
        No run, or one whose fit is not finished.
    FormatError
        A damaged one.
    """
    path = Path(path)
    if path.is_file():
        return Motion(_actum.Motion.load(os.fspath(path)))
    native = _actum.Run.open(os.fspath(path))
    if native.is_of_images:
        from .images import ImageRun

        return ImageRun(native)
    return Run(native)


def fit(
    data: Any,
    *,
    time: Optional[str] = None,
    rep: _data.Names = None,
    weight: Optional[str] = None,
    velocity: Any = None,
    pca: Optional[int] = None,
    dims: Optional[int] = None,
    standardize: Optional[bool] = None,
    hold_out: Any = None,
    shard: Optional[int] = None,
    coupling: Optional[str] = None,
    noise: Any = None,
    growth: Any = None,
    mass: Any = None,
    cost: Any = None,
    drift: Any = None,
    steps: Optional[int] = None,
    seed: Optional[int] = None,
    config: Optional[PathLike] = None,
    set: _settings.Set = None,
    device: str = "cpu",
    output: Optional[PathLike] = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = None,
) -> Run:
    """Learns the motion between snapshots; the same bits as ``actum fit`` on the same data.

    Parameters
    ----------
    data : AnnData, data frame, arrays ``(X, t)`` or ``(X, t, w)``, or the name of a file
        ``X`` ``[n, d]`` are points, ``t`` ``[n]`` the time of each, numbers or labels such as
        ``"Day 2"``, and ``w`` ``[n]`` weights.
    time, weight : str, optional
        The column of times or weights, if it has a name of its own.
    rep : str or list of str, optional
        The coordinates. In AnnData a key of ``obsm``, ``"X"``, ``"layer:NAME"`` or genes; by
        default ``X_pca``. In a data frame columns, patterns (``PC_*``) or ranges
        (``PC_1..PC_30``).
    velocity : str, list of str, or array ``[n, d]``, optional
        Velocities of the points, to compare with.
    pca : int, optional
        Make so many principal components of the counts of an ``.h5ad`` or ``.zarr`` file, as scanpy
        does: normalised, logarithms, the 2,000 most variable genes.
    dims : int, optional
        Use only the first so many columns.
    standardize : bool, optional
        Measure distances after dividing every column by its standard deviation.
    hold_out : time or times, optional
        What the fit must not see.
    shard : int, optional
        Of more rows at some time the fit sees random parts in turn, on disk. Default: 10000.
    coupling : str, optional
        ``"exact"``, ``"entropic"``, ``"entropic:SHARE"``, ``"independent"``, ``"bridge:SIGMA"`` or,
        with growth, ``"unbalanced"`` or ``"unbalanced:RHO"``. Default: exact, and unbalanced with
        growth.
    noise : float or pairs ``[(t, sigma), ...]``, optional
        Random motion: sigma, in units of distance per square root of time.
    growth : float or ``"auto"``, optional
        Birth and death at the rate lambda times the action.
    mass : ``"counts"``, ``"weights"`` or numbers ``[K]``, optional
        The mass of every snapshot, with growth.
    cost : ``"kinetic"``, ``"power:P"`` or matrix ``[d, d]``, optional
        What a velocity costs.
    drift : as `velocity`
        Take these velocities for a known part of the motion and learn the rest.
    steps, seed : int, optional
        How many steps of the optimiser; what seeds everything, 0 by default.
    config : path, optional
        Settings in TOML; keywords are over them.
    set : mapping, optional
        Any other setting, as ``{"fit.batch": 1024}`` or ``{"fit": {"batch": 1024}}``.
    device : str
        Where to compute.
    output : path, optional
        The folder to make for the run; by default a temporary one, until :meth:`Run.save`.
    overwrite, resume : bool
        Replace the run in `output`, or go on from its last checkpoint.
    progress : bool or callable, optional
        Whether to show a bar: by default in terminals and notebooks, elsewhere a line in the log
        ``actum`` now and then. A callable gets ``(done, total, message)``.

    Returns
    -------
    Run

    Raises
    ------
    DataError, ShapeError, FormatError, MissingError
        The data cannot be read or fitted.
    SettingError
        A setting is outside its range.
    ExistsError
        `output` is there already.
    KeyboardInterrupt
        Ctrl-C: in `output` a checkpoint is left, from which ``resume=True`` goes on.

    Examples
    --------
    >>> import actum
    >>> cells = actum.gallery.branching(n=60, times=[0, 20, 48])
    >>> run = actum.fit(cells, hold_out=20, steps=20, progress=False)
    >>> run.labels, run.held_out
    (['0', '20', '48'], ['20'])
    >>> run.simulate(cells.X[:5], [10, 48]).shape
    (2, 5, 2)
    """
    if drift is not None and velocity is not None:
        raise DataError("velocity= compares, drift= takes for known: give one of them")
    moving = velocity if drift is None else drift
    table, keys = _data.given(data, time=time, rep=rep, weight=weight, velocity=moving)
    changes = _settings.changes(
        set,
        data__pca=pca,
        data__dims=dims,
        data__standardize=standardize,
        data__hold_out=_settings.times(hold_out) or None,
        data__shard=shard,
        data__mass=mass,
        path__coupling=coupling,
        lagrangian__noise=noise,
        lagrangian__growth=growth,
        lagrangian__cost=cost,
        lagrangian__drift=None if drift is None else True,
        fit__steps=steps,
        fit__seed=seed,
    )
    folder = None if output is None else os.fspath(output)
    place = _settings.where(folder, overwrite, resume, device)
    file = None if config is None else os.fspath(config)
    with _progress.Shown(progress) as shown:
        native, notes, warned = _actum.fit(table, keys, file, changes, place, shown)
    _progress.say(notes, warned)
    return Run(native, data)


def fit_path(
    sample: Callable[..., Any],
    velocity: Optional[Callable[[Array, Array], Any]] = None,
    *,
    dim: int,
    span: tuple[float, float] = (0.0, 1.0),
    noise: Any = None,
    growth: Any = None,
    cost: Any = None,
    steps: Optional[int] = None,
    seed: Optional[int] = None,
    config: Optional[PathLike] = None,
    set: _settings.Set = None,
    progress: Progress = None,
) -> PathMotion:
    """Learns the motion of a population that a function can sample at any time.

    Parameters
    ----------
    sample : callable
        ``sample(times, rng)`` draws one point of ``q_t`` for each of `times` ``[n]``, all within
        `span`, and returns them, ``[n, dim]``. `rng` is a :class:`numpy.random.Generator`, seeded,
        so that the same seed gives the same fit. It may return ``(points, velocities)``, where
        velocities are ``dX/dt`` for fixed randomness.
    velocity : callable, optional
        ``velocity(times, points)``, ``[n, dim]``, in place of velocities from `sample`. With
        velocities the objective has far less variance.
    dim : int
        The number of columns.
    span : (float, float)
        The first and the last time.
    noise, growth, cost, steps, seed, config, set, progress
        As in :func:`fit`.

    Returns
    -------
    PathMotion

    Raises
    ------
    ShapeError, DataError
        The functions return another shape, or numbers that are not finite.

    Examples
    --------
    >>> import actum
    >>> def sample(times, rng):
    ...     return 3 * times[:, None] + rng.normal(size=(len(times), 1))
    >>> motion = actum.fit_path(sample, lambda t, x: 3 + 0 * x, dim=1, steps=200, progress=False)
    >>> bool(abs(motion.velocity([[1.5]], 0.5)[0, 0] - 3) < 0.5)
    True
    """
    dim = int(dim)
    generator = np.random.default_rng(0)
    first = sample(np.linspace(span[0], span[1], 2), generator)
    own = isinstance(first, tuple)
    if own and velocity is not None:
        raise DataError("sample returns velocities already: leave velocity= out")
    moves = own or velocity is not None

    def checked(values: Any, n: int, what: str) -> Array:
        array = np.ascontiguousarray(_data.matrix(values, what))
        if array.shape != (n, dim):
            raise ShapeError(f"expected {what} of shape [{n}, {dim}], got {list(array.shape)}")
        if not np.isfinite(array).all():
            raise DataError(f"{what} are not finite at all times")
        return array

    def draw(times: Array, state: int) -> tuple[Array, Optional[Array]]:
        found = sample(times, np.random.default_rng(state))
        if isinstance(found, tuple) != own or (own and len(found) != 2):
            raise ShapeError("sample must always return points, or always (points, velocities)")
        points = checked(found[0] if own else found, len(times), "points of sample")
        if own:
            return points, checked(found[1], len(times), "velocities of sample")
        if velocity is not None:
            return points, checked(velocity(times, points), len(times), "velocities")
        return points, None

    changes = _settings.changes(
        set,
        lagrangian__noise=noise,
        lagrangian__growth=growth,
        lagrangian__cost=cost,
        fit__steps=steps,
        fit__seed=seed,
    )
    begin, end = float(span[0]), float(span[1])
    file = None if config is None else os.fspath(config)
    with _progress.Shown(progress) as shown:
        native, losses = _actum.fit_path(draw, dim, (begin, end), moves, changes, file, shown)
    return PathMotion(native, losses)
