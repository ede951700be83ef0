"""Couplings of two clouds of points.

Clouds are arrays ``[n, d]``; weights ``[n]`` are divided by their sum, and are equal where none are
given. The ground cost is ``"squared"``, ``|x - y|^2``, or ``"euclidean"``, ``|x - y|``.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from . import _actum, _data

__all__ = ["Plan", "entropic", "exact", "line", "unbalanced"]

Array = npt.NDArray[np.float64]


class Plan:
    """A sparse coupling: ``mass[k]`` goes from point ``rows[k]`` to point ``columns[k]``.

    Attributes
    ----------
    shape : (int, int)
        The numbers of points of the two clouds.
    rows, columns : numpy.ndarray ``[k]``
        Indices, by row and then by column.
    mass : numpy.ndarray ``[k]``
        Positive; of sum 1 unless the plan is unbalanced.
    cost : float
        The sum of mass times ground cost.
    value : float or None
        Of entropic and unbalanced plans, what they minimise.
    """

    def __init__(self, shape: tuple[int, int], found: Any) -> None:
        self.rows: npt.NDArray[np.int64]
        self.columns: npt.NDArray[np.int64]
        self.mass: Array
        self.shape = shape
        self.rows, self.columns, self.mass, numbers = found
        self.cost: float = numbers["cost"]
        self.value: Optional[float] = numbers.get("value")

    def toarray(self) -> Array:
        """The coupling as a dense matrix ``[n, m]``."""
        dense = np.zeros(self.shape)
        dense[self.rows, self.columns] = self.mass
        return dense

    def tosparse(self) -> Any:
        """The coupling as a matrix of scipy in coordinates."""
        from scipy.sparse import coo_array

        return coo_array((self.mass, (self.rows, self.columns)), shape=self.shape)

    def __len__(self) -> int:
        return len(self.mass)

    def __repr__(self) -> str:
        n, m = self.shape
        return f"<actum.transport.Plan: {n} x {m}, {len(self)} entries, cost {self.cost:.6g}>"


def _weighted(points: Any, weights: Any, which: str) -> tuple[Array, Optional[list[float]]]:
    array = _data.matrix(points, which)
    return array, None if weights is None else _data.vector(weights, f"weights of {which}")


def _plan(method: str, x: Any, y: Any, a: Any, b: Any, cost: str, *parameters: float) -> Plan:
    first, second = _weighted(x, a, "x"), _weighted(y, b, "y")
    numbers = [float(number) for number in parameters]
    found = _actum.transport(method, first, second, cost, numbers)
    return Plan((len(first[0]), len(second[0])), found)


def exact(x: Any, y: Any, *, a: Any = None, b: Any = None, cost: str = "squared") -> Plan:
    """Optimal transport, exact for weighted clouds of any sizes, in O(n + m) memory.

    Parameters
    ----------
    x, y : arrays ``[n, d]`` and ``[m, d]``
    a, b : arrays ``[n]`` and ``[m]``, optional
        Weights.
    cost : ``"squared"`` or ``"euclidean"``

    Returns
    -------
    Plan

    Examples
    --------
    >>> import actum
    >>> actum.transport.exact([[0.0], [1.0]], [[1.0], [2.0]]).cost
    1.0
    """
    return _plan("exact", x, y, a, b, cost)


def line(x: Any, y: Any, *, a: Any = None, b: Any = None, cost: str = "squared") -> Plan:
    """Optimal transport of points ``[n, 1]`` on a line, by sorting."""
    return _plan("line", x, y, a, b, cost)


def entropic(
    x: Any, y: Any, epsilon: float, *, a: Any = None, b: Any = None, cost: str = "squared"
) -> Plan:
    """Transport with entropy (Sinkhorn); `epsilon` is in the units of the ground cost."""
    return _plan("entropic", x, y, a, b, cost, epsilon)


def unbalanced(
    x: Any,
    y: Any,
    epsilon: float,
    rho: float,
    *,
    a: Any = None,
    b: Any = None,
    cost: str = "squared",
) -> Plan:
    """Entropic transport whose marginals may differ, at `rho` times their divergence."""
    return _plan("unbalanced", x, y, a, b, cost, epsilon, rho)
