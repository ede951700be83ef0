"""An estimator for scikit-learn."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _fit


class ActionMatching(BaseEstimator):  # type: ignore[misc]
    """Learns a motion of points ``X`` ``[n, d]`` from the time ``y`` ``[n]`` of each.

    Parameters
    ----------
    at : float, optional
        The time of :meth:`predict`; by default the middle.
    noise, growth, standardize, steps, seed, set
        As in :func:`actum.fit`.

    Attributes
    ----------
    run_ : actum.Run
        The fit.
    """

    def __init__(
        self,
        *,
        at: Optional[float] = None,
        noise: Optional[float] = None,
        growth: Any = None,
        standardize: bool = False,
        steps: Optional[int] = None,
        seed: int = 0,
        set: Any = None,
    ) -> None:
        self.at = at
        self.noise = noise
        self.growth = growth
        self.standardize = standardize
        self.steps = steps
        self.seed = seed
        self.set = set

    def fit(self, X: Any, y: Any) -> ActionMatching:
        """Fits the motion of points ``[n, d]`` at times ``[n]``."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        self.run_ = _fit.fit(
            (X, np.asarray(y)),
            noise=self.noise,
            growth=self.growth,
            standardize=self.standardize,
            steps=self.steps,
            seed=self.seed,
            set=self.set,
            progress=False,
        )
        return self

    def predict(self, X: Any) -> Any:
        """The velocity of points ``[n, d]`` at the time `at`, ``[n, d]``."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.run_.velocity(X, 0.5 * sum(self.run_.span) if self.at is None else self.at)
