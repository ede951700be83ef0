"""Whatever is handed over works, or is a clear exception."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import QUICK, annotated, table

import actum


def fit(*data, **more):
    return actum.fit(*data, **{**QUICK, **more})


def velocities(run, cells):
    return run.velocity(cells.X, 12)


def test_layouts_and_types_work(cells, run) -> None:
    expected = velocities(run, cells)
    wide = np.zeros((len(cells.t), 4))
    wide[:, ::2] = cells.X
    frozen = cells.X.copy()
    frozen.setflags(write=False)
    rows = cells.X[::-1][::-1]
    for points in (np.asfortranarray(cells.X), wide[:, ::2], frozen, rows, cells.X.tolist()):
        assert (run.velocity(points, 12) == expected).all()
    big = cells.X.astype(">f8")
    assert (run.velocity(big, 12) == expected).all()
    for kind in (np.float32, np.float16, np.int64, np.int8, bool):
        points = np.round(cells.X).astype(kind)
        assert (run.velocity(points, 12) == run.velocity(points.astype(float), 12)).all()
    same = fit((np.asfortranarray(cells.X), cells.t.astype(int)), hold_out="20")
    assert (velocities(same, cells) == expected).all()
    as_objects = fit((cells.X.astype(object), list(cells.t)), hold_out=20)
    assert (velocities(as_objects, cells) == expected).all()
    mapping = fit({"X": cells.X, "t": cells.t}, hold_out=20)
    assert (velocities(mapping, cells) == expected).all()
    labels = fit((cells.X, [f"{t:g} h" for t in cells.t]), hold_out="20 h")
    assert labels.labels[1] == "6 h" and labels.velocity(cells.X, "6 h").shape == cells.X.shape


@pytest.mark.parametrize(
    ("points", "kind", "text"),
    [
        (np.zeros(5), actum.ShapeError, r"\[n, d\]"),
        (np.zeros((2, 2, 2)), actum.ShapeError, r"\[n, d\]"),
        (np.zeros((4, 3)), actum.ShapeError, "2 columns"),
        (np.zeros((0, 2)), actum.DataError, "0|empty|point"),
        (np.zeros((4, 2), dtype=complex), actum.FormatError, "real numbers"),
        (np.array([["a", "b"]]), actum.FormatError, "numbers"),
        (np.array([[object(), 1.0]]), actum.FormatError, "objects|object"),
        (np.array([[np.nan, 1.0], [0.0, 0.0]]), actum.DataError, "finite|NaN"),
        (np.array([[np.inf, 1.0], [0.0, 0.0]]), actum.DataError, "finite|inf"),
        (np.ma.masked_invalid([[np.nan, 1.0]]), actum.DataError, "masked"),
        (np.array([["2020-01-01", "2020-01-02"]], dtype="M8[D]"), actum.FormatError, "datetime"),
        ("cells", actum.DataError, "numbers|text"),
        (None, actum.DataError, "numbers|shape"),
    ],
)
def test_points_that_are_none(run, points, kind, text) -> None:
    for use in (
        lambda: run.velocity(points, 12),
        lambda: run.simulate(points, 12),
        lambda: run.action(points, 12),
    ):
        with pytest.raises(kind, match=text) as caught:
            use()
        assert isinstance(caught.value, ValueError)


def test_data_that_are_none(cells) -> None:
    X, t = cells.X, cells.t
    with pytest.raises(actum.ShapeError, match="one time for each"):
        fit((X, t[:-1]))
    with pytest.raises(actum.ShapeError, match="weight"):
        fit((X, t, np.ones(3)))
    with pytest.raises(actum.DataError, match="negative|positive|weight"):
        fit((X, t, -np.ones(len(t))))
    with pytest.raises(actum.DataError, match="2 times"):
        fit((X, 0 * t))
    with pytest.raises(actum.DataError, match="missing"):
        fit((X, np.where(t == 6, np.nan, t)))
    holes = X.copy()
    holes[7, 1] = np.nan
    with pytest.raises(actum.DataError, match="row 7.*x1"):
        fit((holes, t))
    with pytest.raises(actum.FormatError, match="dates"):
        fit((X, np.datetime64("2020-01-01") + t.astype("m8[h]")))
    hours = fit((X, t.astype("m8[h]")))
    assert hours.dimension == 2
    with pytest.raises(actum.DataError, match="AnnData"):
        fit(42)
    with pytest.raises(actum.MissingError, match="X and t"):
        fit({"X": X})
    with pytest.raises(actum.FileError):
        fit("/no/such/file.csv")
    with pytest.raises(actum.MissingError, match="0, 6, 20, 48"):
        fit((X, t), hold_out=7)
    with pytest.raises(actum.DataError, match="name columns"):
        fit((X, t), time="day")


def test_settings_that_are_none(cells, tmp_path) -> None:
    for wrong, text in [
        ({"steps": 0}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"steps": -1}, "steps"),
        ({"set": {"fit.bach": 3}}, "batch"),
        ({"set": {"fit": {"batch": [1]}}}, "batch"),
        ({"set": {"fit.batch": object()}}, "number, text"),
        ({"noise": -1.0}, "noise|sigma"),
        ({"coupling": "exakt"}, "exakt"),
        ({"growth": "much"}, "growth"),
        ({"mass": "counts"}, "mass"),
        ({"hold_out": 0}, "hold out|first"),
        ({"seed": -1}, "seed"),
        ({"overwrite": True}, "output="),
        ({"output": tmp_path / "x", "overwrite": True, "resume": True}, "not both"),
    ]:
        with pytest.raises(actum.SettingError, match=text):
            fit(cells, **wrong)
    with pytest.raises(actum.MissingError, match="abacus.*available: cpu"):
        fit(cells, device="abacus")
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(actum.ExistsError, match="overwrite=True"):
        fit(cells, output=tmp_path)
    with pytest.raises(actum.ExistsError, match="mine.txt"):
        fit(cells, output=tmp_path, overwrite=True)
    with pytest.raises(actum.MissingError):
        actum.load(tmp_path)
    with pytest.raises(TypeError):
        actum.fit(cells, stepps=3)  # type: ignore[call-arg]


def test_times_that_are_none(cells, run) -> None:
    with pytest.raises(actum.DataError, match=r"\[0, 48\]"):
        run.velocity(cells.X, 49)
    with pytest.raises(actum.DataError):
        run.velocity(cells.X, float("nan"))
    with pytest.raises(actum.DataError):
        run.velocity(cells.X, "Day 7")
    with pytest.raises(actum.DataError, match="one for each point"):
        run.velocity(cells.X, [1.0, 2.0])
    with pytest.raises(actum.DataError):
        run.simulate(cells.X, [30, 10])
    with pytest.raises(actum.DataError, match="last time"):
        run.simulate(cells.X, start=48)
    back = run.simulate(cells.X, [10, 5], start=20)
    assert back.shape == (2, *cells.X.shape)
    both = run.velocity(cells.X[:2], [1.0, 2.0])
    assert (both[1] == run.velocity(cells.X[1:2], 2.0)[0]).all()


def test_data_frames(cells) -> None:
    pandas = pytest.importorskip("pandas")
    frame = table(cells)
    run = fit(frame, hold_out=20)
    assert run.columns == ["PC_1", "PC_2"] and run.source["unit"] == "day"
    turned = frame[["PC_2", "day", "PC_1"]].sample(frac=1, random_state=0)
    assert run.velocity(turned, 12).shape == (len(frame), 2)
    shuffled = run.score(turned)
    assert len(shuffled) == 5
    with pytest.raises(actum.MissingError, match="PC_2"):
        run.velocity(frame[["PC_1"]], 12)
    copy = run.annotate(frame, copy=True)
    assert "v_PC_1" in copy and "v_PC_1" not in frame
    with pytest.raises(actum.MissingError, match="time="):
        fit(frame.drop(columns="day"))
    with pytest.raises(actum.DataError, match="named"):
        fit(pandas.concat([frame, frame[["PC_1"]]], axis=1))
    with pytest.raises(actum.ShapeError):
        fit(frame.iloc[:0])
    nullable = frame.convert_dtypes()
    assert (fit(nullable, hold_out=20).velocity(cells.X, 3) == run.velocity(cells.X, 3)).all()
    holes = nullable.copy()
    holes.loc[3, "PC_1"] = pandas.NA
    with pytest.raises(actum.DataError, match="PC_1"):
        fit(holes)
    named = frame.rename(columns={"PC_1": "a", "PC_2": "b", "day": "when"})
    other = fit(named, time="when", rep=["a", "b"], weight="weight", hold_out=20)
    assert other.columns == ["a", "b"]
    text = frame.assign(day=[f"day{int(t)}" for t in cells.t])
    assert fit(text).labels[1] == "day6"


def test_ann_data(cells) -> None:
    pytest.importorskip("anndata")
    adata = annotated(cells)
    run = fit(adata, time="stage", rep="X_pca", hold_out="20")
    assert run.settings["data"]["points_key"] == "obsm:X_pca"
    assert run.labels == ["Day 0", "Day 6", "Day 20", "Day 48"]
    view = adata[adata.obs["stage"] != "Day 6"]
    assert view.is_view
    assert len(run.score(view)) == 5
    assert run.velocity(view, 12).shape == (view.n_obs, 2)
    assert run.simulate(view[:3], [48]).shape == (1, 3, 2)
    twice = adata.copy()
    twice.obs_names = ["same"] * twice.n_obs
    run.annotate(twice)
    assert (twice.obsm["velocity_pca"] == run.annotate(adata, copy=True).obsm["velocity_pca"]).all()
    with pytest.raises(actum.MissingError, match="stage|time="):
        fit(adata)
    with pytest.raises(actum.MissingError, match="obsm:X_pca"):
        fit(adata, time="stage", rep="X_umap")
    with pytest.raises(actum.DataError, match="beside"):
        fit((adata, cells.t))
    genes = fit(adata, time="stage", rep=["0", "2"])
    assert genes.columns == ["0", "2"]
    genes.annotate(adata)
    assert adata.obsm["velocity_actum"].shape == adata.obsm["X_actum"].shape


def test_sparse(cells, tmp_path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    anndata = pytest.importorskip("anndata")
    with pytest.raises(actum.FormatError, match="toarray"):
        fit((sparse.csr_matrix(cells.X), cells.t))
    adata = annotated(cells)
    dense = fit(adata, time="stage", rep="X").velocity(adata, 3)
    adata.X = sparse.csr_matrix(adata.X)
    assert (fit(adata, time="stage", rep="X").velocity(adata, 3) == dense).all()
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    assert (fit(backed, time="stage", rep="X").velocity(backed, 3) == dense).all()
    del adata.obsm["X_pca"]
    wide = anndata.AnnData(X=sparse.csr_matrix((len(cells.t), 500)), obs=adata.obs.copy())
    with pytest.raises(actum.MissingError, match="scanpy.pp.pca"):
        fit(wide, time="stage")


def test_warnings_and_notes(cells, caplog) -> None:
    scaled = cells.X * [1, 1e6]
    with pytest.warns(actum.ActumWarning), caplog.at_level("INFO", logger="actum"):
        fit((scaled, cells.t))
    frame = table(cells)
    with caplog.at_level("INFO", logger="actum"):
        fit(frame)
    assert any("barcode" in record.message for record in caplog.records)


def test_paths_that_are_none() -> None:
    def go(sample, velocity=None, **more):
        return actum.fit_path(sample, velocity, dim=1, **{**QUICK, **more})

    def good(t, rng):
        return t[:, None] + rng.normal(size=(len(t), 1))

    first = go(good, lambda t, x: np.ones_like(x))
    again = go(good, lambda t, x: np.ones_like(x))
    assert (first.velocity([[0.5]], 0.5) == again.velocity([[0.5]], 0.5)).all()
    assert len(first.log) == QUICK["steps"] and go(good).dimension == 1
    assert go(lambda t, rng: (good(t, rng), np.ones((len(t), 1)))).dimension == 1

    calls = []

    def late(t, rng):
        calls.append(1)
        if len(calls) > 5:
            raise ZeroDivisionError("mine")
        return good(t, rng)

    with pytest.raises(ZeroDivisionError, match="mine"):
        go(late)
    with pytest.raises(actum.ShapeError, match=r"\[n, d\]|\[2, 1\]"):
        go(lambda t, rng: t)
    with pytest.raises(actum.ShapeError, match="expected points of sample of shape"):
        go(lambda t, rng: np.zeros((len(t), 2)))
    with pytest.raises(actum.DataError, match="finite"):
        go(lambda t, rng: good(t, rng) * np.nan)
    with pytest.raises(actum.ShapeError, match="velocities"):
        go(good, lambda t, x: t[:, None] * [1, 1])
    with pytest.raises(actum.DataError, match="already"):
        go(lambda t, rng: (good(t, rng), good(t, rng)), lambda t, x: x)
    with pytest.raises(actum.FormatError):
        go(lambda t, rng: None)
    with pytest.raises(actum.DataError, match="increasing"):
        go(good, span=(1, 0))


def test_a_damaged_run(run, tmp_path) -> None:
    run.save(tmp_path / "run")
    with pytest.raises(actum.ExistsError):
        run.save(tmp_path / "run")
    run.save(tmp_path / "run", overwrite=True)
    model = tmp_path / "run/model.safetensors"
    model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(actum.FormatError):
        actum.load(tmp_path / "run")
    model.unlink()
    with pytest.raises(actum.MissingError, match="not finished"):
        actum.load(tmp_path / "run")


def test_native_functions_refuse_what_they_do_not_know() -> None:
    from actum import _actum

    bad = (np.zeros((1, 1)), None)
    with pytest.raises(actum.MissingError, match="w3"):
        _actum.distance("w3", bad, bad, [], 0)
    with pytest.raises(TypeError):
        _actum.distance("w1", 1, bad, [], 0)  # type: ignore[arg-type]
