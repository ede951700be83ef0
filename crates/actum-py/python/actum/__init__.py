"""Learn how a population moves from snapshots of it (Action Matching).

>>> import actum
>>> cells = actum.gallery.branching(n=60, times=[0, 20, 48])
>>> run = actum.fit(cells, hold_out=20, steps=20, progress=False)
>>> run.velocity(cells.X, 12).shape == cells.X.shape
True
"""

from __future__ import annotations

from typing import Any

from . import gallery, images, metric, transport
from ._actum import version as _version
from ._errors import (
    ActumError,
    ActumWarning,
    DataError,
    DivergedError,
    ExistsError,
    FileError,
    FormatError,
    InternalError,
    InterruptedError,
    MissingError,
    SettingError,
    ShapeError,
    VersionError,
)
from ._evaluate import Evaluation, evaluate
from ._fates import Fates
from ._fit import fit, fit_path, load
from ._plot import Plot
from ._report import Report
from ._run import Motion, PathMotion, Run

__version__ = _version()

__all__ = [
    "ActionMatching",
    "ActumError",
    "ActumWarning",
    "DataError",
    "DivergedError",
    "Evaluation",
    "ExistsError",
    "Fates",
    "FileError",
    "FormatError",
    "InternalError",
    "InterruptedError",
    "MissingError",
    "Motion",
    "PathMotion",
    "Plot",
    "Report",
    "Run",
    "SettingError",
    "ShapeError",
    "VersionError",
    "evaluate",
    "fit",
    "fit_path",
    "gallery",
    "images",
    "load",
    "metric",
    "transport",
]


def __getattr__(name: str) -> Any:
    # scikit-learn takes a second to import.
    if name == "ActionMatching":
        from ._sklearn import ActionMatching

        return ActionMatching
    raise AttributeError(f"module 'actum' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
