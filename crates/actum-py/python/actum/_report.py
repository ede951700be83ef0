"""Pages about a run."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Union

from ._errors import FileError

PathLike = Union[str, "os.PathLike[str]"]


class Report:
    """A page about a run, complete in itself.

    :meth:`Run.report` and :meth:`actum.images.ImageRun.report` make one. A notebook shows it;
    :attr:`html` is its text.
    """

    def __init__(self, page: str, summary: list[str]) -> None:
        self.html = page
        #: What was fitted, how well it predicts, and what to be careful about.
        self.summary = summary

    def save(self, path: PathLike) -> None:
        """Writes the page, under a temporary name first."""
        target = Path(path)
        part = target.with_name(f".actum-{os.getpid()}-{target.name}")
        try:
            part.write_text(self.html, encoding="utf-8")
            part.replace(target)
        except OSError as cause:
            part.unlink(missing_ok=True)
            raise FileError(f"cannot write {target}: {cause.strerror}") from cause

    def __repr__(self) -> str:
        return "\n".join(self.summary) or "<actum.Report>"

    def _repr_html_(self) -> str:
        # The page has scripts of its own, which see nothing of the notebook.
        return (
            '<iframe sandbox="allow-scripts allow-downloads" title="A report" width="100%" '
            f'height="760" style="border: 0" srcdoc="{html.escape(self.html)}"></iframe>'
        )
