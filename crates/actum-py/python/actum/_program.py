"""The command ``actum``: the same program as that of the Rust crate."""

from __future__ import annotations

import signal
import sys

from . import _actum


def main() -> int:
    """Runs the program with what was typed; returns its exit code."""
    # The program has its own way with Ctrl-C, and with a reader that has gone away.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _actum.program(["actum", *sys.argv[1:]])
