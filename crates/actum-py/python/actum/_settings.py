"""Keywords as settings: dotted keys, and values in TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional, Union

import numpy as np

from ._errors import SettingError

Set = Optional[Mapping[str, Any]]
Change = tuple[str, str]


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(repr(value), repr(value))
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    raise SettingError(
        f"expected a number, text or a list of them, got {type(value).__name__}: {value!r}"
    )


def times(labels: Any) -> list[str]:
    """Names of times: one or several, numbers or labels."""
    if labels is None:
        return []
    if isinstance(labels, (str, int, float, np.generic)):
        labels = [labels]
    return [label_of(label) for label in labels]


def label_of(label: Any) -> str:
    """A time as a person writes it."""
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, float) and label.is_integer() and abs(label) < 1e15:
        return str(int(label))
    return str(label)


def flat(settings: Set, before: str = "") -> list[Change]:
    """Settings by dotted keys, or as nested mappings; None is left out."""
    changes: list[Change] = []
    for key, value in (settings or {}).items():
        if isinstance(value, Mapping):
            changes += flat(value, f"{before}{key}.")
        elif value is not None:
            changes.append((f"{before}{key}", toml(value)))
    return changes


def changes(settings: Set, **named: Any) -> list[Change]:
    """``settings``, then keywords over them: ``data__dims`` is ``data.dims``; None is left out."""
    over = ((key.replace("__", "."), value) for key, value in named.items())
    return flat(settings) + [(key, toml(value)) for key, value in over if value is not None]


def where(
    output: Union[str, Any, None], overwrite: bool, resume: bool, device: str
) -> dict[str, Any]:
    """Where a fit goes."""
    return {
        "output": output,
        "overwrite": overwrite,
        "resume": resume,
        "device": device,
    }
