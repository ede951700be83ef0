"""Images: generation, super-resolution, colorization, inpainting.

Images are levels 0 to 255, ``uint8`` ``[n, height, width, channels]``, with 1 or 3 channels; gray
ones may be ``[n, height, width]``. A file, a folder, or ``"shapes"`` (made-up images) stand for
some.
"""

from __future__ import annotations

import base64
import html
import json
import os
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _actum, _progress, _settings
from ._errors import FormatError, ShapeError
from ._frames import frame, table_html
from ._progress import Progress
from ._report import PathLike, Report
from ._run import _of_files

__all__ = ["ImageRun", "fit"]

Pixels = npt.NDArray[np.uint8]


def pixels(images: Any) -> Pixels:
    """Levels ``[n, height, width, channels]``."""
    array = np.asarray(images)
    if array.dtype != np.uint8:
        raise FormatError(
            f"expected images as levels 0 to 255 of type uint8, got {array.dtype}; convert them, "
            "as (255 * x).round().astype(numpy.uint8) for x between 0 and 1"
        )
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise ShapeError(
            f"expected images of shape [n, height, width, channels], got {list(array.shape)}"
        )
    return np.ascontiguousarray(array)


def _given(images: Any) -> Union[Pixels, str]:
    return os.fspath(images) if isinstance(images, (str, os.PathLike)) else pixels(images)


class ImageRun:
    """A fit to images; :func:`fit` and :func:`actum.load` make one."""

    def __init__(self, native: _actum.Run, data: Union[Pixels, str, None] = None) -> None:
        self._native = native
        self._data = data
        self._told = json.loads(native.told())

    @property
    def settings(self) -> dict[str, Any]:
        """All settings."""
        return dict(self._told["settings"])

    @property
    def toml(self) -> str:
        """All settings as TOML."""
        return self._native.toml()

    @property
    def source(self) -> dict[str, Any]:
        """What the images were."""
        return dict(self._told["source"])

    @property
    def log(self) -> Any:
        """The logged steps: a data frame, or arrays by name."""
        steps = [r for r in json.loads(self._native.log()) if r["event"] == "step"]
        names = ("step", "loss", "smoothed", "gradient_norm", "learning_rate")
        return frame({name: [step[name] for step in steps] for name in names})

    def sample(self, n: int = 64, *, seed: int = 0, steps: Optional[int] = None) -> Pixels:
        """Generates images.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Seeds the noise they are made from.
        steps : int, optional
            So many steps of Runge and Kutta's scheme of order 4; by default as errors need them.

        Returns
        -------
        numpy.ndarray ``[n, height, width, channels]`` of uint8
        """
        return _actum.sample_images(self._native, int(n), int(seed), steps)

    def restore(
        self,
        images: Any,
        *,
        temperature: float = 0.0,
        seed: int = 0,
        steps: Optional[int] = None,
    ) -> Pixels:
        """Restores images, of which only what is observed is used.

        Parameters
        ----------
        images : images
            Whole ones, or, for superres, of half the size and, for colorize, gray ones.
        temperature : float
            Scales the noise: 1 draws one of the images that fit, 0 makes the one in their middle.
        seed, steps : int
            As in :meth:`sample`.

        Returns
        -------
        numpy.ndarray ``[n, height, width, channels]`` of uint8
        """
        given = _given(images)
        return _actum.restore_images(self._native, given, float(temperature), int(seed), steps)

    def score(self, images: Any, *, n: int = 256, temperature: Optional[float] = None) -> Any:
        """Measures the model against real images, best such that were not learned from.

        Returns
        -------
        dict
            Of generated images the distances of the model, of a Gaussian and of other real images,
            and bits per dimension; of restored ones PSNR and SSIM beside the baseline.
        """
        return json.loads(_actum.score_images(self._native, _given(images), int(n), temperature))

    def report(
        self,
        path: Optional[PathLike] = None,
        *,
        images: Any = None,
        data: Any = None,
    ) -> Report:
        """One page about the run: what it makes or restores, and how its fit went.

        Parameters
        ----------
        path : path, optional
            Where to write it, ``.html``; nothing is written without one.
        images : images, optional
            What to restore, of a run that restores; by default fresh made-up images where it was
            fitted on such, else those of the fit.
        data : images, optional
            Those of the fit: the nearest of them are shown beside generated ones. By default those
            that are known.

        Returns
        -------
        Report
            A notebook shows it.

        Raises
        ------
        MissingError
            Nothing to restore.
        SettingError
            Images to restore, of a run that makes some.
        """
        given = [None if x is None else _given(x) for x in (data, images)]
        if given[0] is None:
            given[0] = self._data
        report = Report(*_actum.page_of_images(self._native, given[0], given[1]))
        if path is not None:
            report.save(path)
        return report

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Copies the run to a folder, which the program and :func:`actum.load` read."""
        self._native.copy(os.fspath(path), overwrite)

    def __reduce__(self) -> Any:
        return _of_files, (self._native.files(),)

    def __copy__(self) -> ImageRun:
        return self

    def __deepcopy__(self, memo: Any) -> ImageRun:
        return self

    def __repr__(self) -> str:
        h, w, c = self.source["shape"]
        task = self.settings["task"]
        return f"<actum.images.ImageRun: {task}, {h} x {w} pixels, {c} channels>"

    def _repr_html_(self) -> str:
        h, w, c = self.source["shape"]
        facts = {
            "task": self.settings["task"],
            "steps": str(self.settings["fit"]["steps"]),
            "images": f"{self.source['images']} of {h} x {w} pixels, {c} channels",
            "data": self.source["data"],
        }
        rows = [[html.escape(name), html.escape(value)] for name, value in facts.items()]
        shown = "<b>actum.images.ImageRun</b>" + table_html(rows)
        # What the model made last, as the fit drew it.
        samples = Path(self._native.folder) / "samples.png"
        if not samples.is_file():
            return shown
        png = base64.b64encode(samples.read_bytes()).decode()
        style = "image-rendering: pixelated; max-width: 100%"
        return f'{shown}<img alt="Images" style="{style}" src="data:image/png;base64,{png}">'


def fit(
    data: Any = None,
    *,
    task: Optional[str] = None,
    method: Optional[str] = None,
    path: Optional[str] = None,
    mask: Any = None,
    halve: Optional[bool] = None,
    mirror: Optional[bool] = None,
    limit: Optional[int] = None,
    steps: Optional[int] = None,
    seed: Optional[int] = None,
    config: Optional[PathLike] = None,
    set: _settings.Set = None,
    device: str = "cpu",
    output: Optional[PathLike] = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = None,
) -> ImageRun:
    """Learns from images; the same bits as ``actum image fit``.

    Parameters
    ----------
    data : images, optional
        By default ``"shapes"``.
    task : ``"generate"``, ``"superres"``, ``"colorize"`` or ``"inpaint"``, optional
    method : ``"action"`` or ``"score"``, optional
    path : ``"linear"``, ``"vp"``, ``"subvp"``, ``"ve"``, ``"heat"`` or ``"torus"``, optional
        How images dissolve that are to be generated.
    mask : ``"top"``, ``"bottom"``, boolean array ``[height, width]``, or a picture, optional
        What is hidden, to inpaint.
    halve, mirror : bool, optional
        Halve the images; also learn from mirrored ones.
    limit : int, optional
        Use only the first so many.
    steps, seed, config, set, device, output, overwrite, resume, progress
        As in :func:`actum.fit`.

    Returns
    -------
    ImageRun
    """
    picture: Optional[str] = None
    if mask is not None and not isinstance(mask, (str, os.PathLike)):
        rows = np.asarray(mask)
        if rows.ndim != 2 or rows.dtype != bool:
            raise ShapeError(
                f"expected a mask of booleans [height, width], true where hidden, got "
                f"{rows.dtype} {list(rows.shape)}"
            )
        mask = ["".join("#" if hidden else "." for hidden in row) for row in rows]
    elif mask is not None and os.fspath(mask) not in ("top", "bottom"):
        picture, mask = os.fspath(mask), None
    changes = _settings.changes(
        set,
        task=task,
        method=method,
        path=path,
        mask=mask,
        data__halved=halve,
        data__mirrored=mirror,
        data__limit=limit,
        fit__steps=steps,
        fit__seed=seed,
    )
    folder = None if output is None else os.fspath(output)
    place = _settings.where(folder, overwrite, resume, device)
    file = None if config is None else os.fspath(config)
    given = None if data is None else _given(data)
    with _progress.Shown(progress) as shown:
        native, warned = _actum.fit_images(given, picture, file, changes, place, shown)
    _progress.say([], warned)
    return ImageRun(native, given)
