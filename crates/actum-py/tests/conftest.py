"""A small population, and the program beside the package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actum

SMALL = {"fit.batch": 64, "network.width": 16, "fit.warmup": 5}
QUICK: dict[str, Any] = {"steps": 40, "set": SMALL, "progress": False}


@pytest.fixture(scope="session")
def cells() -> actum.gallery.Population:
    return actum.gallery.branching(n=60, times=[0, 6, 20, 48])


@pytest.fixture(scope="session")
def run(cells: actum.gallery.Population) -> actum.Run:
    return actum.fit(cells, hold_out=20, **QUICK)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """Runs the command in a folder, and returns what it prints."""

    def call(*typed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "actum", *typed], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def flags() -> list[str]:
    """What `QUICK` is on the command line."""
    return ["--steps", "40"] + [x for k, v in SMALL.items() for x in ("--set", f"{k}={v}")]


def same_model(a: Path, b: Path) -> bool:
    return (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()


def read_json(text: str) -> Any:
    return json.loads(text)


def table(cells: actum.gallery.Population) -> Any:
    """The population as a data frame with labels of days, weights and a column of text."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "barcode": [f"c{i}" for i in range(len(cells.t))],
            "day": cells.t,
            "PC_1": cells.X[:, 0],
            "PC_2": cells.X[:, 1],
            "weight": rng.uniform(1, 2, len(cells.t)),
        }
    )


def annotated(cells: actum.gallery.Population) -> Any:
    """The population as AnnData, in the order of another shuffle."""
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    order = np.random.default_rng(1).permutation(len(cells.t))
    labels = pandas.Categorical([f"Day {int(t)}" for t in cells.t[order]])
    names = [f"c{i}" for i in range(len(order))]
    adata = anndata.AnnData(
        X=np.abs(np.random.default_rng(2).normal(size=(len(order), 3))),
        obs=pandas.DataFrame({"stage": labels, "n_counts": np.arange(len(order))}, index=names),
    )
    adata.obsm["X_pca"] = cells.X[order]
    return adata
