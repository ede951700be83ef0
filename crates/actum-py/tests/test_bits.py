"""The package and the program give the same bits on the same data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import QUICK, annotated, flags, read_json, same_model, table

import actum


def test_arrays(cells, program, tmp_path: Path) -> None:
    np.savez(tmp_path / "cells.npz", X=cells.X, t=cells.t)
    program("fit", "cells.npz", "--hold-out", "20", *flags(), "-o", "run")
    run = actum.fit((cells.X, cells.t), hold_out=[20], output=tmp_path / "own", **QUICK)
    assert same_model(tmp_path / "run", tmp_path / "own")
    theirs, ours = ((tmp_path / name / "settings.toml").read_text() for name in ("run", "own"))
    assert theirs == ours
    assert run.source["fingerprint"] == actum.load(tmp_path / "run").source["fingerprint"]

    told = read_json(program("score", "run", "cells.npz", "--json"))["scores"][0]["rows"]
    scored = run.score()
    assert scored["at"].unique().tolist() == ["20"] and scored["held_out"].all()
    for _, row in scored.iterrows():
        for name in ("w1", "w2", "mmd_squared", "energy"):
            assert row[name] == told[row["prediction"]][name]

    program("simulate", "run", "--from", "0", "--times", "6,13.5", "-o", "moved.npz")
    moved = run.simulate(cells.X[cells.t == 0], [6, 13.5])
    assert (np.load(tmp_path / "moved.npz")["X"] == moved).all()


def test_options(cells, program, tmp_path: Path) -> None:
    w = np.where(cells.t > 10, 2.0, 1.0)
    np.savez(tmp_path / "cells.npz", X=cells.X, t=cells.t, w=w)
    more = [
        "--growth",
        "auto",
        "--noise",
        "0:0.1,48:0.2",
        "--seed",
        "3",
        "--coupling",
        "unbalanced",
    ]
    program("fit", "cells.npz", *more, *flags(), "-o", "run")
    actum.fit(
        (cells.X, cells.t, w),
        growth="auto",
        noise=[(0, 0.1), (48, 0.2)],
        seed=3,
        coupling="unbalanced",
        output=tmp_path / "own",
        **QUICK,
    )
    assert same_model(tmp_path / "run", tmp_path / "own")


def test_metric_and_drift(cells, program, tmp_path: Path) -> None:
    v = np.stack([0 * cells.t, 0.01 * cells.X[:, 0]], axis=1)
    np.savez(tmp_path / "cells.npz", X=cells.X, t=cells.t, V=v)
    (tmp_path / "metric.csv").write_text("2,0.5\n0.5,1\n")
    own = {"output": tmp_path / "own", **QUICK}
    program("fit", "cells.npz", "--drift", "V", *flags(), "-o", "run")
    actum.fit((cells.X, cells.t), drift=v, **own)
    assert same_model(tmp_path / "run", tmp_path / "own")
    program("fit", "cells.npz", "--cost", "metric:metric.csv", *flags(), "-o", "run", "--overwrite")
    actum.fit((cells.X, cells.t), cost=np.array([[2, 0.5], [0.5, 1]]), overwrite=True, **own)
    assert same_model(tmp_path / "run", tmp_path / "own")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_data_frame(cells, kind: str, program, tmp_path: Path) -> None:
    frame = table(cells)
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(tmp_path / "cells.parquet")
    else:
        frame.to_csv(tmp_path / "cells.csv", index=False)
    program("fit", f"cells.{kind}", "--growth", "0.1", *flags(), "-o", "run")
    actum.fit(frame, growth=0.1, output=tmp_path / "own", **QUICK)
    assert same_model(tmp_path / "run", tmp_path / "own")
    theirs, ours = ((tmp_path / name / "settings.toml").read_text() for name in ("run", "own"))
    assert theirs == ours


def test_ann_data(cells, program, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    adata = annotated(cells)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    program("fit", "cells.h5ad", "--time-key", "stage", "--hold-out", "20", *flags(), "-o", "run")
    run = actum.fit(adata, time="stage", hold_out="20", output=tmp_path / "own", **QUICK)
    assert same_model(tmp_path / "run", tmp_path / "own")
    assert (tmp_path / "run/settings.toml").read_text() == run.toml

    program("annotate", "run", "cells.h5ad", "-o", "more.h5ad")
    theirs = anndata.read_h5ad(tmp_path / "more.h5ad")
    assert run.annotate(adata) is None
    assert (theirs.obsm["velocity_pca"] == adata.obsm["velocity_pca"]).all()
    added = {name for name in theirs.obs if name.startswith("actum_")}
    assert added == {"actum_action", "actum_speed", "actum_energy"}
    for name in added:
        assert (theirs.obs[name] == adata.obs[name]).all()


def test_a_matrix_of_genes(cells, program, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    adata = annotated(cells)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    keys = ["--time-key", "stage", "--points-key", "X"]
    program("fit", "cells.h5ad", *keys, *flags(), "-o", "run")
    run = actum.fit(adata, time="stage", rep="X", output=tmp_path / "own", **QUICK)
    assert same_model(tmp_path / "run", tmp_path / "own")
    program("annotate", "run", "cells.h5ad", "-o", "more.h5ad")
    theirs = anndata.read_h5ad(tmp_path / "more.h5ad")
    run.annotate(adata)
    assert (theirs.layers["velocity"] == adata.layers["velocity"]).all()


def test_shards(cells, program, tmp_path: Path) -> None:
    np.savez(tmp_path / "cells.npz", X=cells.X, t=cells.t)
    program("fit", "cells.npz", "--shard", "25", *flags(), "-o", "run")
    actum.fit(cells, shard=25, output=tmp_path / "own", **QUICK)
    assert same_model(tmp_path / "run", tmp_path / "own")


def test_resume(cells, tmp_path: Path) -> None:
    whole = actum.fit(cells, output=tmp_path / "whole", **QUICK)

    class Enough(Exception):
        pass

    def stop(done: int, total: int, message: str) -> None:
        raise Enough

    slow = {**QUICK, "steps": 20_000, "progress": stop}
    with pytest.raises(Enough):
        actum.fit(cells, output=tmp_path / "part", **slow)
    assert (tmp_path / "part/checkpoint.safetensors").is_file()
    with pytest.raises(actum.SettingError, match="resume"):
        actum.fit(cells, output=tmp_path / "part", resume=True, **QUICK)
    again = actum.fit(cells, output=tmp_path / "whole", resume=True, progress=False)
    assert (again.velocity(cells.X, 3) == whole.velocity(cells.X, 3)).all()


def test_evaluate(cells, program, tmp_path: Path) -> None:
    np.savez(tmp_path / "cells.npz", X=cells.X, t=cells.t)
    how = ["-m", "lines", "--seeds", "2", "--from", "first,both"]
    told = read_json(
        program("evaluate", "cells.npz", *how, *flags()[2:], "--set", "fit.steps=20", "--json")
    )
    found = actum.evaluate(
        cells,
        methods=["lines"],
        seeds=2,
        protocols=["first", "both"],
        set={**QUICK["set"], "fit.steps": 20},
        progress=False,
    )
    assert json.dumps(told["report"], sort_keys=True) == json.dumps(found.report, sort_keys=True)
    assert found.best == "lines" and "lines" in found.advice
    both = found.table("both")
    assert "linear transport" in both["method"].tolist()
    assert len(found.at_times()) == 2 * len(both)
    actum.fit(cells, set=found.settings, steps=20, progress=False)


def test_gallery(program, tmp_path: Path) -> None:
    program("gallery", "vlasov", "-n", "50", "--seed", "4", "-o", "vlasov.npz")
    file = np.load(tmp_path / "vlasov.npz")
    own = actum.gallery.snapshots("vlasov", n=50, seed=4)
    assert (file["X"] == own.X).all() and (file["V"] == own.velocity).all()
    assert (file["t"] == own.t).all()
    assert "vlasov" in actum.gallery.names() and actum.gallery.about("vlasov")


def test_images(program, tmp_path: Path) -> None:
    small = ["--set", "network.channels=8", "--set", "fit.batch=4", "--set", "network.levels=1"]
    setting = {"network.channels": 8, "fit.batch": 4, "network.levels": 1}
    program(
        "image", "fit", "--task", "superres", "--steps", "3", "--limit", "20", *small, "-o", "run"
    )
    run = actum.images.fit(
        task="superres", steps=3, limit=20, set=setting, output=tmp_path / "own", progress=False
    )
    assert same_model(tmp_path / "run", tmp_path / "own")
    program(
        "image", "restore", "run", "--input", "shapes", "-n", "2", "--steps", "2", "-o", "r.npz"
    )
    theirs = next(iter(np.load(tmp_path / "r.npz").values()))
    # The first of the fresh shapes.
    restored = run.restore("shapes", steps=2)[:2]
    assert (restored == theirs).all()
