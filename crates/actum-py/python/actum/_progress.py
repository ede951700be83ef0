"""Progress in terminals, notebooks and logs."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, Optional, Union

from ._errors import ActumWarning

Callback = Callable[[int, int, str], object]
Progress = Optional[Union[bool, Callback]]
Native = Callable[[int, int, str, list[str]], None]

logger = logging.getLogger("actum")

#: How long a log is silent, in seconds.
SILENCE = 10.0


def _is_seen() -> bool:
    """Whether a person looks on: a terminal, or a notebook."""
    shell = sys.modules.get("IPython")
    kernel = shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
    return kernel or (sys.stderr is not None and sys.stderr.isatty())


class _Bar:
    """A bar by tqdm where it is there, else a line that is written again and again."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.spoke = 0.0
        self.started = time.monotonic()

    def __call__(self, done: int, total: int, message: str) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self._line(done, total, message)
            return
        if self.bar is None or self.bar.total != total:
            self.close()
            self.bar = tqdm(total=total)
        self.bar.set_postfix_str(message, refresh=False)
        self.bar.update(done - self.bar.n)

    def _line(self, done: int, total: int, message: str) -> None:
        now = time.monotonic()
        if done < total and now - self.spoke < 0.2:
            return
        self.spoke = now
        left = (total - done) * (now - self.started) / max(done, 1)
        end = "\n" if done == total else ""
        line = f"\r{done} of {total}  {message}  {left:.0f} s left   "
        print(line, end=end, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class _Log:
    """A line now and then."""

    def __init__(self) -> None:
        self.spoke = time.monotonic()

    def __call__(self, done: int, total: int, message: str) -> None:
        if time.monotonic() - self.spoke >= SILENCE:
            self.spoke = time.monotonic()
            logger.info("%d of %d  %s", done, total, message)

    def close(self) -> None:
        pass


class Shown:
    """Shows progress while it is entered; :attr:`callback` is what the library calls."""

    def __init__(self, progress: Progress) -> None:
        self.show: Any
        if callable(progress):
            self.show = progress
        elif progress or (progress is None and _is_seen()):
            self.show = _Bar()
        else:
            self.show = _Log()

    def callback(self, done: int, total: int, message: str, said: list[str]) -> None:
        for warning in said:
            warnings.warn(warning, ActumWarning, stacklevel=4)
        if total > 0:
            self.show(done, total, message)

    def __enter__(self) -> Native:
        return self.callback

    def __exit__(self, *_: object) -> None:
        close = getattr(self.show, "close", None)
        if isinstance(self.show, (_Bar, _Log)) and close is not None:
            close()


def say(notes: list[str], warned: list[str]) -> None:
    """Passes on what the library supposed, and what it warns of."""
    for note in notes:
        logger.info("%s", note)
    for warning in warned:
        warnings.warn(warning, ActumWarning, stacklevel=3)
