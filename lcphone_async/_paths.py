"""Where a caller wants a file to be."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
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


def not_a_link(path: Path) -> os.stat_result:
    """What a file is; raises `OSError` if it is a symbolic link or is not there."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "symbolic links are not followed", str(path))
    return found


def make_private(path: Path, *endings: str) -> None:
    """Makes an empty file with mode 0600, or takes the rights of others from one that is there.

    The same for those files that lie beside it already and have its name with one of the
    `endings`. Raises `OSError` for a symbolic link and for a file of another user.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        path.chmod(0o600)  # the umask may have taken even the owner's rights
    except FileExistsError:
        pass  # it is not opened: to close it would free the locks that SQLite holds on it
    for file in (path, *(path.with_name(path.name + ending) for ending in endings)):
        with suppress(FileNotFoundError):
            mode = not_a_link(file).st_mode
            if stat.S_ISREG(mode) and mode & 0o077 and os.name == "posix":
                file.chmod(stat.S_IMODE(mode) & ~0o077)
