"""Pages about a run."""

from __future__ import annotations

import html
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import actum


def test_a_report_is_a_page_with_three_sentences(run: actum.Run, tmp_path: Path) -> None:
    report = run.report(tmp_path / "report.html")
    assert len(report.summary) == 3 and "20" in report.summary[0]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page == report.html and page.startswith("<!DOCTYPE html>")
    # The distance is that of score().
    table = run.score()
    w1 = float(np.asarray(table["w1"])[list(table["prediction"]).index("action matching")])
    assert f"<td>{w1:.4f}</td>" in page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(actum.FileError, match="missing"):
        run.report(tmp_path / "missing" / "report.html")


def test_labels_colour_points_and_are_only_shown(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    t = np.repeat([0.0, 1.0, 2.0], 40)
    x = rng.normal(size=(120, 2)) + t[:, None]
    kinds = np.where(np.arange(120) % 2 == 0, "<script>1</script>", "b")
    table = pandas.DataFrame({"t": t, "x": x[:, 0], "y": x[:, 1], "kind": kinds})
    run = actum.fit(table, rep=["x", "y"], hold_out=1, steps=20, progress=False)
    report = run.report(label_key="kind")
    assert "<script>1" not in report.html and "&lt;script&gt;1" in report.html
    assert "most likely fate" in report.html
    with pytest.raises(actum.MissingError, match="cell_type"):
        run.report(label_key="cell_type")


def test_a_notebook_shows_the_moving_picture(run: actum.Run) -> None:
    shown = run._repr_html_()
    assert "<table>" in shown and 'sandbox="allow-scripts allow-downloads"' in shown
    inside = html.unescape(shown.split('srcdoc="')[1].split('"')[0])
    assert inside.startswith("<!DOCTYPE html>") and 'id="points"' in inside
    assert run._repr_html_() == shown


def test_a_run_without_its_data_still_tells_its_facts(tmp_path: Path) -> None:
    cells = actum.gallery.branching(n=40, times=[0, 20, 48])
    actum.fit(cells, output=tmp_path / "run", steps=10, progress=False)
    run = actum.load(tmp_path / "run")
    assert "<table>" in run._repr_html_() and "<iframe" not in run._repr_html_()


def test_images_have_pages_too(tmp_path: Path) -> None:
    shapes = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 1), dtype=np.uint8)
    small = {"network.channels": 8, "fit.batch": 4, "network.levels": 1}
    run = actum.images.fit(shapes, steps=3, set=small, progress=False)
    report = run.report(tmp_path / "report.html")
    assert "20 images of 8 x 8 pixels" in report.summary[0]
    # The images of the fit are known, so the nearest of them are shown.
    assert "the nearest of 20 images" in report.html
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.html
    assert "generate" in run._repr_html_() and "data:image/png;base64," in run._repr_html_()
    # A run from a folder does not know them, and can be told.
    run.save(tmp_path / "run")
    loaded = actum.load(tmp_path / "run")
    assert "not known" in " ".join(loaded.report().summary)
    assert "the nearest of 20 images" in loaded.report(data=shapes).html
    with pytest.raises(actum.SettingError, match="restores none"):
        run.report(images=shapes)

    mask = np.zeros((8, 8), dtype=bool)
    mask[:4] = True
    hidden = actum.images.fit(shapes, task="inpaint", mask=mask, steps=2, set=small, progress=False)
    assert "PSNR" in hidden.report(images=shapes[:3]).html
    hidden.save(tmp_path / "hidden")
    with pytest.raises(actum.MissingError, match="to restore"):
        actum.load(tmp_path / "hidden").report()


def test_the_program_writes_the_same_numbers(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(1)
    t = np.repeat([0.0, 1.0, 2.0], 30)
    x = rng.normal(size=(90, 2)) + t[:, None]
    file = tmp_path / "cells.csv"
    pandas.DataFrame({"t": t, "x": x[:, 0], "y": x[:, 1]}).to_csv(file, index=False)
    run = actum.fit(file, hold_out=1, steps=20, progress=False, output=tmp_path / "run")
    typed = ["report", str(tmp_path / "run"), "-o", str(tmp_path / "report.html")]
    subprocess.run([sys.executable, "-m", "actum", *typed], check=True, capture_output=True)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")

    def numbers(text: str) -> str:
        return text.split('id="points">')[1].split("<")[0]

    assert numbers(run.report().html) == numbers(page)
