"""Numbers from outside: closed forms, scipy."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import QUICK

import actum


def test_transport_on_a_line() -> None:
    x, y = np.array([[0.0], [3.0], [1.0]]), np.array([[2.0], [5.0], [4.0]])
    plan = actum.transport.exact(x, y)
    # Sorted to sorted: (4 + 9 + 4) / 3.
    assert plan.cost == pytest.approx(17 / 3)
    dense = plan.toarray()
    assert dense[0, 0] == dense[1, 1] == dense[2, 2] == pytest.approx(1 / 3)
    assert actum.transport.line(x, y).cost == pytest.approx(17 / 3)
    assert actum.metric.w1(x, y) == pytest.approx(7 / 3)
    assert actum.metric.w2(x, y) == pytest.approx(np.sqrt(17 / 3))
    weighted = actum.transport.exact(x[:2], y[:1], a=[1, 3], cost="euclidean")
    assert weighted.cost == pytest.approx(0.25 * 2 + 0.75 * 1)


def test_transport_beside_scipy() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40, 3))
    costs = ((x[:, None] - y) ** 2).sum(-1)
    rows, columns = optimize.linear_sum_assignment(costs)
    plan = actum.transport.exact(x, y)
    assert plan.cost == pytest.approx(costs[rows, columns].mean(), rel=1e-12)
    assert (plan.columns == columns).all()
    assert plan.tosparse().sum() == pytest.approx(1)
    soft = actum.transport.entropic(x, y, 0.1 * costs.mean())
    assert soft.cost > plan.cost and soft.mass.sum() == pytest.approx(1)
    loose = actum.transport.unbalanced(x, y + 10, 0.1 * costs.mean(), 1.0)
    assert loose.mass.sum() < 0.5


def test_distances() -> None:
    # E|X - Y| twice, less E|X - X'| and E|Y - Y'|: 2 * 1 - 0 - 0.
    assert actum.metric.energy([[0.0]], [[1.0]]) == pytest.approx(2.0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    assert actum.metric.w2(x, x + [3, 4]) == pytest.approx(5)
    assert actum.metric.sliced_w2(x, x) == 0
    assert actum.metric.sinkhorn_divergence(x, x, 1.0) == pytest.approx(0, abs=1e-9)
    assert actum.metric.mmd_squared(x, x + 5) > actum.metric.mmd_squared(x, x)
    # One unit of 255 levels everywhere: 20 log10(255).
    image = np.full((1, 8, 8, 1), 100, np.uint8)
    assert actum.metric.psnr(image, image + 1)[0] == pytest.approx(20 * np.log10(255))


def test_what_is_wrong_is_said() -> None:
    x = np.zeros((3, 2))
    with pytest.raises(actum.ShapeError, match="columns"):
        actum.metric.w1(x, np.zeros((3, 1)))
    with pytest.raises(actum.DataError, match="finite"):
        actum.metric.w1(x, x * np.nan)
    with pytest.raises(actum.DataError, match="weight"):
        actum.metric.w1(x, x, a=[1, 2])
    with pytest.raises(actum.MissingError, match="euclidean, squared"):
        actum.transport.exact(x, x, cost="cubic")
    with pytest.raises(actum.SettingError, match="epsilon"):
        actum.transport.entropic(x, x + 1, -1)
    with pytest.raises(actum.MissingError, match="heat"):
        actum.gallery.snapshots("warmth")


def test_a_translation_is_learned() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    data = (np.concatenate([x, x + [2, 0]]), np.repeat([0.0, 1.0], 300))
    small = {"network.width": 32, "fit.batch": 256, "fit.learning_rate": 5e-3}
    run = actum.fit(data, steps=400, set=small, progress=False)
    velocity = run.velocity(x, 0.5).mean(axis=0)
    assert velocity == pytest.approx([2, 0], abs=0.1)
    moved = run.simulate(x, 1.0)[0]
    assert moved.mean(axis=0) == pytest.approx([2, 0], abs=0.2)
    assert run.growth(x, 0.5).max() == 0
    _, weights = run.simulate(x, 1.0, return_weights=True)
    assert weights.shape == (1, 300) and weights.sum() == pytest.approx(1)

    def standard(at):
        return -0.5 * (at**2).sum(axis=1) - np.log(2 * np.pi)

    # Translated, a density is that of the points it comes from.
    found = run.log_density(x[:20] + [2, 0], 1.0, standard)
    assert found == pytest.approx(standard(x[:20]), abs=0.35)
    with pytest.raises(actum.ShapeError, match="base density"):
        run.log_density(x, 1.0, lambda at: at)
    with pytest.raises(RuntimeError, match="mine"):
        run.log_density(x, 1.0, lambda at: (_ for _ in ()).throw(RuntimeError("mine")))


def test_an_own_path_is_learned() -> None:
    motion = actum.fit_path(
        lambda t, rng: 3 * t[:, None] + rng.normal(size=(len(t), 1)),
        lambda t, x: np.full_like(x, 3),
        dim=1,
        steps=300,
        progress=False,
    )
    assert motion.velocity([[1.5]], 0.5)[0, 0] == pytest.approx(3, abs=0.2)
    assert motion.simulate([[0.0]])[0, 0, 0] == pytest.approx(3, abs=0.3)
    assert motion.span == (0.0, 1.0)


def test_a_run_says_what_it_is(run) -> None:
    assert "held out: 20" in repr(run) and "<table>" in run._repr_html_()
    assert run.settings["fit"]["steps"] == QUICK["steps"]
    assert run.source["counts"] == [60, 60, 60, 60]
    assert run.log["step"].tolist()[-1] == QUICK["steps"]
    assert run.times.tolist() == [0, 6, 20, 48]


def test_pictures(run, tmp_path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    for draw in (run.plot.streamlines, run.plot.trajectories, run.plot.loss):
        ax = draw()
        ax.figure.savefig(tmp_path / "picture.png")
        assert (tmp_path / "picture.png").stat().st_size > 5000
    files = run.plot.save(tmp_path / "pictures")
    assert (tmp_path / "pictures/streamlines.png").is_file() and len(files) > 3


def test_images() -> None:
    shapes = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 1), dtype=np.uint8)
    small = {"network.channels": 8, "fit.batch": 4, "network.levels": 1}
    run = actum.images.fit(shapes, steps=3, set=small, progress=False)
    made = run.sample(3, steps=2)
    assert made.shape == (3, 8, 8, 1) and made.dtype == np.uint8
    assert set(run.score(shapes, n=10)) >= {"model", "gaussian"}
    assert "generate" in repr(run)
    with pytest.raises(actum.SettingError, match="generates"):
        run.restore(shapes) if False else run.score(shapes, temperature=1.0)
    with pytest.raises(actum.FormatError, match="uint8"):
        actum.images.fit(shapes / 255)
    with pytest.raises(actum.ShapeError, match="mask"):
        actum.images.fit(shapes, task="inpaint", mask=np.zeros((3, 3)))
    mask = np.zeros((8, 8), dtype=bool)
    mask[:4] = True
    hidden = actum.images.fit(shapes, task="inpaint", mask=mask, steps=2, set=small, progress=False)
    restored = hidden.restore(shapes[:2], steps=2)
    assert (restored[:, 4:] == shapes[:2, 4:]).all()


def test_scikit_learn(cells) -> None:
    base = pytest.importorskip("sklearn.base")
    estimator = actum.ActionMatching(steps=40, set=QUICK["set"])
    copy = base.clone(estimator).set_params(at=12.0)
    assert copy.get_params()["steps"] == 40 and estimator.at is None
    fitted = copy.fit(cells.X, cells.t)
    assert (fitted.predict(cells.X) == fitted.run_.velocity(cells.X, 12.0)).all()
    assert fitted.n_features_in_ == 2
    from sklearn.exceptions import NotFittedError
    from sklearn.utils import estimator_checks as checks

    with pytest.raises(NotFittedError):
        estimator.predict(cells.X)
    for check in (
        checks.check_parameters_default_constructible,
        checks.check_no_attributes_set_in_init,
        checks.check_get_params_invariance,
        checks.check_set_params,
    ):
        check("ActionMatching", actum.ActionMatching())
