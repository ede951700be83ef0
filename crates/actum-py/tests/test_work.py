"""Ctrl-C, progress, threads, processes, copies."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from conftest import QUICK

import actum

# Minutes, and not for ever where an interrupt is missed.
LONG = {**QUICK, "steps": 500_000}


def interrupt_after(seconds: float) -> list[float]:
    """Sends this process a Ctrl-C; the list gets the time when."""
    sent: list[float] = []
    # A shell starts what runs in the background deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def send() -> None:
        time.sleep(seconds)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()
    return sent


def test_ctrl_c_keeps_a_checkpoint(cells, tmp_path) -> None:
    sent = interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt) as caught:
        actum.fit(cells, output=tmp_path / "run", **LONG)
    assert time.monotonic() - sent[0] < 10.0
    assert "steps" in " ".join(caught.value.__notes__)
    assert (tmp_path / "run/checkpoint.safetensors").is_file()
    with pytest.raises(actum.MissingError, match="not finished"):
        actum.load(tmp_path / "run")


def test_ctrl_c_ends_what_has_no_steps() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9000, 30))
    sent = interrupt_after(0.3)
    with pytest.raises(KeyboardInterrupt):
        actum.transport.exact(x, y)
    assert time.monotonic() - sent[0] < 10.0


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs the names of threads")
def test_ctrl_c_leaves_nothing_behind_that_works() -> None:
    def at_work() -> bool:
        names = []
        for task in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as name:
                names.append(name.read().strip())
        return "actum" in names

    x, y = np.random.default_rng(0).normal(size=(2, 60_000, 5))
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        actum.metric.w1(x, y)
    # Minutes, were it not stopped.
    late = time.monotonic() + 30.0
    while at_work() and time.monotonic() < late:
        time.sleep(0.05)
    assert not at_work()


def test_ctrl_c_in_a_path_of_python() -> None:
    def slow(t, rng):
        time.sleep(0.01)
        return rng.normal(size=(len(t), 1))

    interrupt_after(0.3)
    with pytest.raises(KeyboardInterrupt):
        actum.fit_path(slow, dim=1, **LONG)


def test_progress_is_told(cells) -> None:
    told = []
    quick = {**QUICK, "steps": 2000, "progress": lambda *at: told.append(at)}
    actum.fit(cells, **quick)
    assert told[-1][:2] == (2000, 2000) and "objective" in told[-1][2]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


def test_a_bar(cells, capfd, monkeypatch) -> None:
    actum.fit(cells, **{**QUICK, "progress": True})
    assert "40" in capfd.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    actum.fit(cells, **{**QUICK, "progress": True})
    assert "40 of 40" in capfd.readouterr().err
    actum.fit(cells, **{**QUICK, "progress": None})
    assert capfd.readouterr().err == ""


def test_copies(run, cells, tmp_path) -> None:
    expected = run.velocity(cells.X, 12)
    packed = pickle.loads(pickle.dumps(run))
    run.save(tmp_path / "run")
    for other in (packed, copy.copy(run), copy.deepcopy(run), actum.load(tmp_path / "run")):
        assert (other.velocity(cells.X, 12) == expected).all()
        assert other.labels == run.labels and repr(other) == repr(run)
    motion = actum.fit_path(lambda t, rng: rng.normal(size=(len(t), 1)), dim=1, **QUICK)
    motion.save(tmp_path / "motion.safetensors")
    for other in (pickle.loads(pickle.dumps(motion)), actum.load(tmp_path / "motion.safetensors")):
        assert (other.velocity([[1.0]], 0.5) == motion.velocity([[1.0]], 0.5)).all()


def test_threads(run, cells) -> None:
    expected = run.simulate(cells.X, [30, 48])
    with ThreadPoolExecutor(4) as pool:
        for moved in pool.map(lambda _: run.simulate(cells.X, [30, 48]), range(8)):
            assert (moved == expected).all()
    with ThreadPoolExecutor(2) as pool:
        fits = [pool.submit(actum.fit, cells, **QUICK) for _ in range(3)]
        first, *others = [fit.result().velocity(cells.X, 3) for fit in fits]
    assert all((other == first).all() for other in others)


def test_the_interpreter_is_released(cells) -> None:
    counted = []
    stop = threading.Event()

    def count() -> None:
        while not stop.wait(0.01):
            counted.append(1)

    other = threading.Thread(target=count)
    other.start()
    actum.fit(cells, **{**QUICK, "steps": 3000})
    stop.set()
    other.join()
    assert len(counted) > 3


def _velocity(task):
    run, points, t = task
    return run.velocity(points, t)


def _fit(seed):
    cells = actum.gallery.branching(n=30, times=[0, 48])
    return actum.fit(cells, **{**QUICK, "seed": seed}).velocity(cells.X, 3)


@pytest.mark.parametrize("start", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_process_pools(run, cells, start: str) -> None:
    folder = run.folder
    with ProcessPoolExecutor(2, mp_context=get_context(start)) as pool:
        found = list(pool.map(_velocity, [(run, cells.X, t) for t in (3, 12)], timeout=120))
        fitted = list(pool.map(_fit, [0, 1], timeout=120))
    assert (found[1] == run.velocity(cells.X, 12)).all()
    assert (fitted[1] == _fit(1)).all()
    assert folder.is_dir()


def test_joblib(run, cells) -> None:
    joblib = pytest.importorskip("joblib")
    for how in ("loky", "threading"):
        work = (joblib.delayed(run.velocity)(cells.X, t) for t in (3, 12))
        found = joblib.Parallel(n_jobs=2, backend=how)(work)
        assert (found[1] == run.velocity(cells.X, 12)).all()


def test_a_function_of_python_may_call_back(cells) -> None:
    # With a single thread nothing may wait for the thread that waits for it.
    code = """
    import numpy as np, actum
    def sample(t, rng):
        x = rng.normal(size=(len(t), 1))
        actum.metric.w1(x, x + 1)
        return x
    actum.fit_path(sample, dim=1, steps=20, set={"fit.batch": 16}, progress=False)
    print("done")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "RAYON_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "done", done.stderr


def test_temporary_folders_go(cells) -> None:
    run = actum.fit(cells, **QUICK)
    folder = run.folder
    assert folder.is_dir()
    del run
    assert not folder.exists()


def test_the_program() -> None:
    def call(*typed):
        return subprocess.run(
            [sys.executable, "-m", "actum", *typed], capture_output=True, text=True
        )

    assert call("--version").stdout.strip() == f"actum {actum.__version__}"
    wrong = call("fit", "/no/such.csv", "-o", "/tmp/never")
    assert wrong.returncode == 2 and "error" in wrong.stderr
    assert call("nonsense").returncode == 2 and call("fit", "--help").returncode == 0
