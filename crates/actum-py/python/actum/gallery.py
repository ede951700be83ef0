"""Populations to try, whose motion is known.

>>> import actum
>>> cells = actum.gallery.snapshots("heat", n=50)
>>> cells.X.shape[0] == len(cells.t) == len(cells.velocity)
True
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from . import _actum

__all__ = ["Population", "about", "branching", "names", "snapshots"]


@dataclass(frozen=True, repr=False)
class Population:
    """Snapshots; :func:`actum.fit` takes them as they are.

    Attributes
    ----------
    X : numpy.ndarray ``[n, d]``
        Points of all times.
    t : numpy.ndarray ``[n]``
        The time of each.
    velocity : numpy.ndarray ``[n, d]``, or None
        The true velocity of each, where the velocity is a function of the place.
    """

    X: npt.NDArray[np.float64]
    t: npt.NDArray[np.float64]
    velocity: Optional[npt.NDArray[np.float64]] = None

    def __repr__(self) -> str:
        n, d = self.X.shape
        return (
            f"<actum.gallery.Population: {n} points, {d} columns, {len(np.unique(self.t))} times>"
        )


def names() -> list[str]:
    """The names of the populations."""
    return [name for name, _ in _actum.gallery_names()]


def about(name: str) -> str:
    """What a population is, in words."""
    known = dict(_actum.gallery_names())
    if name not in known:
        from ._errors import MissingError

        raise MissingError(f"the problem {name!r} is not there; available: {', '.join(known)}")
    return known[name]


def snapshots(
    name: str,
    *,
    n: int = 2000,
    times: Optional[Sequence[float]] = None,
    columns: Optional[int] = None,
    seed: int = 0,
) -> Population:
    """Draws a population; the same points as ``actum gallery NAME``.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    n : int
        How many points at each time.
    times : list of float, optional
        By default 5 or 11 from the first to the last.
    columns : int, optional
        How many columns, where that can be chosen.
    seed : int
        Seeds the points.

    Returns
    -------
    Population
    """
    at = None if times is None else [float(t) for t in times]
    return Population(*_actum.gallery(name, int(n), at, columns, int(seed)))


def branching(
    *, n: int = 600, times: Optional[Sequence[float]] = None, seed: int = 0
) -> Population:
    """Cells that differentiate into two branches, in two columns, over 48 hours.

    Parameters
    ----------
    n : int
        How many at each time.
    times : list of float, optional
        Hours; by default six.
    seed : int
        Seeds the points.

    Returns
    -------
    Population
        The population of ``actum demo``.
    """
    at = None if times is None else [float(t) for t in times]
    return Population(*_actum.branching(int(n), at, int(seed)))
