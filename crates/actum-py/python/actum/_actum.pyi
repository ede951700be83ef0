"""The library over numpy arrays."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

__all__ = [
    "Motion",
    "Run",
    "Table",
    "branching",
    "check",
    "decode",
    "distance",
    "evaluate",
    "fates_of",
    "fit",
    "fit_images",
    "fit_path",
    "gallery",
    "gallery_names",
    "genes_of",
    "learn_genes",
    "page_of_images",
    "panic",
    "perturb",
    "program",
    "psnr",
    "restore_images",
    "sample_images",
    "score_images",
    "screen",
    "ssim",
    "table",
    "transport",
    "version",
]

_Array = npt.NDArray[np.float64]
_Pixels = npt.NDArray[np.uint8]
_Indices = npt.NDArray[np.int64]
_Path = str | PathLike[str]
_Named = tuple[list[str], _Array]
_Weighted = tuple[_Array, list[float] | None]
_Keys = list[tuple[str, str]]
_Progress = Callable[[int, int, str, list[str]], object] | None

@final
class Table: ...

_Data = Table | _Path

@disjoint_base
class Motion:
    @staticmethod
    def load(file: _Path) -> Motion: ...
    @staticmethod
    def unpack(bytes: bytes) -> Motion: ...
    def write(self, file: _Path) -> None: ...
    def pack(self) -> bytes: ...
    @property
    def dimension(self) -> int: ...
    @property
    def span(self) -> Sequence[float]: ...
    @property
    def grows(self) -> bool: ...
    @property
    def is_noisy(self) -> bool: ...
    def simulate(
        self,
        points: _Array,
        weights: list[float] | None,
        start: float,
        times: list[float],
        seed: int,
    ) -> tuple[npt.NDArray[np.float64], _Array]: ...
    def describe(
        self, points: _Array, t: float
    ) -> tuple[_Array, _Array, _Array, _Array, _Array]: ...
    def log_density(
        self,
        points: _Array,
        t: float,
        base: Callable[[_Array], _Array],
        base_time: float,
        probes: int | None,
    ) -> _Array: ...

@final
class Run(Motion):
    @staticmethod
    def open(folder: _Path) -> Run: ...
    @staticmethod
    def of_files(files: Sequence[tuple[str, bytes]]) -> Run: ...
    def files(self) -> list[tuple[str, bytes]]: ...
    def copy(self, to: _Path, overwrite: bool) -> None: ...
    @property
    def folder(self) -> _Path: ...
    @property
    def is_of_images(self) -> bool: ...
    def told(self) -> str: ...
    def toml(self) -> str: ...
    def log(self) -> str: ...
    def time_of(self, text: str) -> float: ...
    def score(self, data: _Data, start: str | None, at: list[str]) -> str: ...
    def annotate(
        self, data: _Data
    ) -> tuple[list[str], _Array, _Array, list[tuple[str, _Array]]]: ...
    def seen(
        self, data: _Data
    ) -> tuple[list[tuple[str, float, _Array, list[float]]], list[int]]: ...
    def page(
        self, data: _Data, label_key: str | None, labels: list[str] | None, moving: bool
    ) -> tuple[str, list[str]]: ...
    def pictures(self, data: _Data, folder: _Path) -> list[_Path]: ...

def version() -> str: ...
def program(typed: Sequence[str]) -> int: ...
def table(
    columns: Sequence[tuple[str, str, Any, list[int] | None]],
    points: _Named | None,
    velocities: _Named | None,
) -> Table: ...
def check(data: _Data, keys: _Keys) -> str: ...
def fates_of(
    of: Run,
    ends: Mapping[str, Any],
    clones: str | None,
    genes: list[str] | None,
    all_genes: bool,
    progress: _Progress,
) -> tuple[str, _Array, _Array, _Array, _Array]: ...
def perturb(of: Run, ends: Mapping[str, Any], start: str | None, changes: list[str]) -> str: ...
def screen(
    of: Run,
    ends: Mapping[str, Any],
    start: str | None,
    genes: list[str] | None,
    to: str,
    progress: _Progress,
) -> str: ...
def learn_genes(of: Run, file: _Path) -> int | None: ...
def genes_of(of: Run) -> list[str]: ...
def decode(of: Run, points: _Array, genes: list[str] | None) -> tuple[list[str], _Array]: ...
def panic(text: str) -> None: ...
def fit(
    data: _Data,
    keys: _Keys,
    config: _Path | None,
    changes: _Keys,
    place: Mapping[str, Any],
    progress: _Progress,
) -> tuple[Run, list[str], list[str]]: ...
def fit_path(
    draw: Callable[[_Array, int], tuple[_Array, _Array | None]],
    dimension: int,
    span: Sequence[float],
    has_velocity: bool,
    changes: _Keys,
    config: _Path | None,
    progress: _Progress,
) -> tuple[Motion, list[tuple[int, float]]]: ...
def evaluate(
    data: _Data,
    keys: _Keys,
    data_changes: _Keys,
    changes: _Keys,
    how: Mapping[str, Any],
    progress: _Progress,
) -> str: ...
def transport(
    method: str, a: _Weighted, b: _Weighted, ground_cost: str, parameters: list[float]
) -> tuple[_Indices, _Indices, _Array, dict[str, float]]: ...
def distance(
    name: str, a: _Weighted, b: _Weighted, parameters: list[float], seed: int
) -> float: ...
def gallery_names() -> list[tuple[str, str]]: ...
def gallery(
    name: str, n: int, times: list[float] | None, columns: int | None, seed: int
) -> tuple[_Array, _Array, _Array]: ...
def fit_images(
    data: _Pixels | str | None,
    mask: _Path | None,
    config: _Path | None,
    changes: _Keys,
    place: Mapping[str, Any],
    progress: _Progress,
) -> tuple[Run, list[str]]: ...
def sample_images(of: Run, n: int, seed: int, steps: int | None) -> _Pixels: ...
def restore_images(
    of: Run, data: _Pixels | str, temperature: float, seed: int, steps: int | None
) -> _Pixels: ...
def score_images(of: Run, data: _Pixels | str, n: int, temperature: float | None) -> str: ...
def page_of_images(
    of: Run, data: _Pixels | str | None, images: _Pixels | str | None
) -> tuple[str, list[str]]: ...
def psnr(images: _Pixels, truth: _Pixels) -> list[float]: ...
def ssim(images: _Pixels, truth: _Pixels) -> list[float]: ...
def branching(n: int, times: list[float] | None, seed: int) -> tuple[_Array, _Array]: ...
