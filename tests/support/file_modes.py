"""Permissions of files, and the umask with which they are made."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_modes = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """The umask of this process while the block runs."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(file: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(file.stat().st_mode)


def modes(folder: Path) -> dict[str, int]:
    """The permissions of each file in a folder, by name."""
    return {file.name: mode(file) for file in folder.iterdir()}
