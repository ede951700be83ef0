"""Tables of results: data frames where pandas is there."""

from __future__ import annotations

from typing import Any

import numpy as np


def frame(columns: dict[str, list[Any]]) -> Any:
    """A data frame, or arrays by name."""
    try:
        import pandas
    except ImportError:
        return {name: np.asarray(values) for name, values in columns.items()}
    return pandas.DataFrame(columns)


def table_html(rows: list[list[str]]) -> str:
    """Cells that are safe in HTML, the first of a row as its header."""
    lines = (
        f"<tr><th style='text-align:left'>{row[0]}</th>"
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return "<table>" + "".join(lines) + "</table>"
