"""Distances of two clouds of points, and of images.

Clouds are arrays ``[n, d]``; weights ``[n]`` are divided by their sum, and are equal where none are
given. Distances are in the units of the coordinates unless they say otherwise.

>>> import actum
>>> actum.metric.w1([[0.0], [1.0]], [[2.0], [3.0]])
2.0
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _actum
from .transport import _weighted

__all__ = [
    "energy",
    "mmd_squared",
    "psnr",
    "sinkhorn_divergence",
    "sliced_w2",
    "ssim",
    "unbiased_energy",
    "w1",
    "w2",
]


def _distance(
    name: str, x: Any, y: Any, a: Any, b: Any, parameters: Sequence[float] = (), seed: int = 0
) -> float:
    first, second = _weighted(x, a, "x"), _weighted(y, b, "y")
    return _actum.distance(name, first, second, [float(p) for p in parameters], seed)


def w1(x: Any, y: Any, *, a: Any = None, b: Any = None) -> float:
    """The exact Wasserstein distance of order 1 under the Euclidean distance."""
    return _distance("w1", x, y, a, b)


def w2(x: Any, y: Any, *, a: Any = None, b: Any = None) -> float:
    """The exact Wasserstein distance of order 2."""
    return _distance("w2", x, y, a, b)


def sliced_w2(
    x: Any, y: Any, *, projections: int = 500, seed: int = 0, a: Any = None, b: Any = None
) -> float:
    """The W2 of projections, over so many random directions."""
    return _distance("sliced_w2", x, y, a, b, [projections], seed)


def energy(x: Any, y: Any, *, a: Any = None, b: Any = None) -> float:
    """The energy distance."""
    return _distance("energy", x, y, a, b)


def unbiased_energy(x: Any, y: Any, *, a: Any = None, b: Any = None) -> float:
    """The energy distance without the distances of points from themselves; can be below 0."""
    return _distance("unbiased_energy", x, y, a, b)


def mmd_squared(
    x: Any, y: Any, *, gammas: Sequence[float] = (), a: Any = None, b: Any = None
) -> float:
    """The unbiased squared maximum mean discrepancy under Gaussian kernels; can be below 0.

    `gammas` are those of the field's protocol unless given, in 1/distance^2.
    """
    return _distance("mmd_squared", x, y, a, b, gammas)


def sinkhorn_divergence(x: Any, y: Any, epsilon: float, *, a: Any = None, b: Any = None) -> float:
    """The Sinkhorn divergence for the squared distance, in its units."""
    return _distance("sinkhorn_divergence", x, y, a, b, [epsilon])


def psnr(images: Any, truth: Any) -> npt.NDArray[np.float64]:
    """The PSNR of restored images beside true ones, ``[n]``, in decibels.

    Images are levels 0 to 255, ``uint8`` ``[n, height, width, channels]``.
    """
    from .images import pixels

    return np.array(_actum.psnr(pixels(images), pixels(truth)))


def ssim(images: Any, truth: Any) -> npt.NDArray[np.float64]:
    """The SSIM of restored images beside true ones, ``[n]``, at most 1."""
    from .images import pixels

    return np.array(_actum.ssim(pixels(images), pixels(truth)))
