"""Fates and genes: the bits of the program, and panics that stay exceptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import QUICK, flags, read_json

import actum


@pytest.fixture
def adata(cells: actum.gallery.Population) -> Any:
    """Cells of two branches, whose 12 genes lead to two components."""
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    loadings, _ = np.linalg.qr(rng.normal(size=(12, 2)))
    middle = cells.X.mean(axis=0)
    side = np.where(cells.X[:, 1] > 0, "up", "down")
    obs = pandas.DataFrame(
        {
            "day": cells.t,
            "branch": pandas.Categorical(side),
            "clone": [f"c{i % 7}" for i in range(len(side))],
        },
        index=[f"cell{i}" for i in range(len(side))],
    )
    names = pandas.DataFrame(index=[f"g{j}" for j in range(12)])
    made = anndata.AnnData((cells.X - middle) @ loadings.T + 5, obs=obs, var=names)
    made.obsm["X_pca"] = cells.X - middle
    made.varm["PCs"] = loadings
    return made


def test_fates_are_the_programs(adata: Any, program: Any, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    program("fit", "cells.h5ad", *flags(), "-o", "run")
    line = ["fates", "run", "cells.h5ad", "--label-key", "branch", "--clone-key", "clone"]
    told = read_json(program(*line, "--genes", "g1,g3", "-o", "out", "--json"))
    run = actum.fit(adata, **QUICK)
    fates = run.fates(label="branch", clones="clone", genes=["g1", "g3"], progress=False)
    assert fates.names == told["fates"] == ["down", "up"]
    assert fates.clones == told["clones"]
    for fate, found in zip(told["fates"], told["drivers"]):
        ours = fates.drivers[fates.drivers["fate"] == fate]
        assert list(ours["gene"]) == [one["gene"] for one in found["drivers"]]
        rates = [one["rate"][0] for one in found["drivers"]]
        np.testing.assert_array_equal(ours["rate"], rates)
    pandas = pytest.importorskip("pandas")
    theirs = pandas.read_csv(tmp_path / "out" / "cells.csv").set_index("cell")
    ours = fates.table.set_index("cell")
    assert list(ours.index) == list(adata.obs_names)
    np.testing.assert_allclose(ours["p_up"], theirs.loc[ours.index, "p_up"], atol=1e-12)
    assert sorted(set(fates.trends["gene"])) == ["g1", "g3"]
    last = adata.obs["day"] == 48
    where = fates.probabilities[last, 1] > 0.5
    assert (where == (adata.obs["branch"][last] == "up")).mean() > 0.9


def test_genes(adata: Any, program: Any, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    run = actum.fit(tmp_path / "cells.h5ad", output=tmp_path / "run", **QUICK)
    assert run.genes == [f"g{j}" for j in range(12)]
    first = adata.obsm["X_pca"][:5]
    np.testing.assert_allclose(run.expression(first), adata.X[:5], atol=1e-6)
    told = read_json(program("perturb", "run", "--set", "g2=+1", "--label-key", "branch", "--json"))
    ours = run.perturb({"g2": "+1"}, label="branch")
    assert list(ours["difference"]) == [one["difference"] for one in told["effects"]]
    line = ["perturb", "run", "--screen", "g2,g5", "--to", "+1", "--label-key", "branch"]
    told = read_json(program(*line, "--json"))["genes"]
    ours = run.screen(["g2", "g5"], to="+1", label="branch", progress=False)
    assert list(ours["after"]) == [e["after"] for gene in told for e in gene["effects"]]
    with pytest.raises(actum.MissingError, match="g99"):
        run.perturb({"g99": 0}, label="branch")
    with pytest.raises(actum.MissingError, match="kind.*branch"):
        run.fates(label="kind")


def test_what_has_no_labels(cells: actum.gallery.Population, run: actum.Run) -> None:
    with pytest.raises(actum.DataError, match="labels beside the points"):
        run.fates((cells.X, cells.t), label="branch")
    with pytest.raises(actum.MissingError):
        run.genes  # noqa: B018
    with pytest.raises(actum.SettingError, match="scanpy.pp.pca"):
        actum.fit((cells.X, cells.t), pca=2)


def test_a_panic_is_an_exception() -> None:
    with pytest.raises(actum.InternalError, match="its fault, not yours: on purpose"):
        actum._actum.panic("on purpose")
