"""Where a caller wants a file to be."""

from __future__ import annotations

import os
from pathlib import Path


def checked_path(name: str, value: object) -> Path:
    """A path that a file may have; raises `TypeError` or `ValueError`, which name the argument."""
    said = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(said, str):
        raise TypeError(f"{name} must be a string or a path, not {type(value).__name__}")
    if not said:
        raise ValueError(f"{name} is empty")
    if "\0" in said:
        raise ValueError(f"{name} holds a NUL")
    try:
        os.fsencode(said)
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds a lone surrogate") from None
    return Path(said)
