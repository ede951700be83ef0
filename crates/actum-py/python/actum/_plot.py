"""Pictures of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

if TYPE_CHECKING:
    from ._run import Run

#: How many cells a side of the grid of streamlines has, and how many particles a picture of paths.
GRID = 40
PARTICLES = 200
INSTANTS = 61


def _is_near(points: Any, x: Any, y: Any) -> Any:
    """Which nodes of a grid have points within three cells: elsewhere nothing was learned."""
    steps = [(axis[-1] - axis[0]) / (len(axis) - 1) for axis in (x, y)]
    at = np.rint((points - [x[0], y[0]]) / steps).astype(int)
    there = np.zeros((len(y), len(x)), dtype=bool)
    inside = ((at >= 0) & (at < [len(x), len(y)])).all(axis=1)
    there[at[inside, 1], at[inside, 0]] = True
    for _ in range(3):
        wide = np.pad(there, 1)
        there = wide[1:-1, 1:-1] | wide[:-2, 1:-1] | wide[2:, 1:-1]
        there |= wide[1:-1, :-2] | wide[1:-1, 2:]
    return there


class Plot:
    """Pictures of a run, drawn by matplotlib on an axis; :meth:`save` draws the program's."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def _axis(self, ax: Any, columns: tuple[int, int]) -> Any:
        try:
            from matplotlib import pyplot
        except ImportError:
            raise ImportError(
                "drawing on an axis needs matplotlib; run.plot.save(folder) draws without it"
            ) from None
        if ax is None:
            _, ax = pyplot.subplots()
        names = self._run.columns
        ax.set_xlabel(names[columns[0]])
        ax.set_ylabel(names[columns[1]] if self._run.dimension > 1 else "")
        return ax

    def _seen(self, data: Any) -> Any:
        return self._run._native.seen(self._run._given(data))[0]

    def _points(self, ax: Any, clouds: Any, columns: tuple[int, int]) -> None:
        from matplotlib import colormaps

        colours = colormaps["viridis"](np.linspace(0, 1, len(clouds)))
        for colour, (label, _, points, _) in zip(colours, clouds):
            x, y = points[:, columns[0]], points[:, columns[1]]
            ax.scatter(x, y, s=4, color=colour, alpha=0.5, linewidths=0, label=label)
        title = self._run.source["unit"] or "time"
        ax.legend(
            title=title, markerscale=3, frameon=False, loc="upper left", bbox_to_anchor=(1, 1)
        )

    def streamlines(
        self,
        ax: Any = None,
        *,
        data: Any = None,
        t: Any = None,
        columns: tuple[int, int] = (0, 1),
    ) -> Any:
        """The velocity at one time over the points of all times.

        In two columns streamlines on a grid; in more, arrows at the points nearest in time.

        Parameters
        ----------
        ax : matplotlib axis, optional
        data : optional
            The points to draw; by default those of the fit.
        t : time, optional
            By default the middle.
        columns : (int, int)
            Which two to draw.

        Returns
        -------
        matplotlib axis
        """
        run = self._run
        if run.dimension < 2:
            raise ValueError(f"streamlines need two columns, the run has {run.dimension}")
        ax = self._axis(ax, columns)
        clouds = self._seen(data)
        self._points(ax, clouds, columns)
        at = 0.5 * sum(run.span) if t is None else run._time(t)
        if run.dimension == 2:
            (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
            x, y = np.linspace(x0, x1, GRID), np.linspace(y0, y1, GRID)
            grid = np.stack(np.meshgrid(x, y), axis=-1)[..., list(columns)]
            v = run.velocity(grid.reshape(-1, 2), at).reshape(GRID, GRID, 2)
            everything = np.concatenate([cloud[2] for cloud in clouds])[:, list(columns)]
            v[~_is_near(everything, x, y)] = np.nan
            ax.streamplot(x, y, v[..., columns[0]], v[..., columns[1]], color="0.3", linewidth=0.7)
            ax.set_xlim(x0, x1)
            ax.set_ylim(y0, y1)
        else:
            near = min(clouds, key=lambda cloud: abs(cloud[1] - at))[2]
            some = near[:: max(1, len(near) // PARTICLES)]
            v = run.velocity(some, at)
            first, second = columns
            ax.quiver(some[:, first], some[:, second], v[:, first], v[:, second], color="0.3")
        return ax

    def trajectories(
        self, ax: Any = None, *, data: Any = None, columns: tuple[int, int] = (0, 1)
    ) -> Any:
        """Paths of points of the first time over the points of all times."""
        run = self._run
        if run.dimension < 2:
            raise ValueError(f"paths are drawn in two columns, the run has {run.dimension}")
        ax = self._axis(ax, columns)
        clouds = self._seen(data)
        self._points(ax, clouds, columns)
        first = clouds[0][2]
        some = first[:: max(1, len(first) // PARTICLES)]
        paths = run.simulate(some, np.linspace(*run.span, INSTANTS))
        ax.plot(paths[..., columns[0]], paths[..., columns[1]], color="0.3", lw=0.5, alpha=0.5)
        return ax

    def loss(self, ax: Any = None) -> Any:
        """The objective over the steps of the fit."""
        ax = self._axis(ax, (0, 0))
        log = self._run.log
        ax.plot(log["step"], log["loss"], color="0.8", lw=0.5)
        ax.plot(log["step"], log["smoothed"], color="C0")
        ax.set_xlabel("step")
        ax.set_ylabel("objective")
        return ax

    def save(
        self, folder: Union[str, os.PathLike[str]], *, data: Optional[Any] = None
    ) -> list[Path]:
        """Draws what ``actum plot`` draws, as SVG and PNG, and returns the names of the SVGs."""
        native = self._run._native
        return [Path(p) for p in native.pictures(self._run._given(data), os.fspath(folder))]
