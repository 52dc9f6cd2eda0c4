"""Where a caller wants a file to be."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


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


MOST_READ = 64 * 2**20
"""Bytes of a file that is read whole: a million locations fit."""


def read_bounded(path: Path, name: str | None = None) -> str:
    """The text of a file, or of a pipe, in UTF-8; `name` is what errors call it.

    Raises `ValueError` if it is not UTF-8 or larger than `MOST_READ`, as /dev/zero is, and
    `OSError` if it cannot be opened.
    """
    with path.open("rb") as file:
        return bounded_text(file, name or str(path))


def bounded_text(file: IO[bytes], name: str) -> str:
    """The same of a file that is open."""
    content = file.read(MOST_READ + 1)
    if len(content) > MOST_READ:
        raise ValueError(f"{name}: larger than {MOST_READ >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: not UTF-8") from None


def regular_file(path: Path) -> os.stat_result:
    """What a file is; raises `OSError` for a symbolic link, a device or a folder, or none."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "symbolic links are not followed", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return found


def make_private(path: Path, content: bytes = b"") -> None:
    """Makes a file with mode 0600, whatever the umask, unless there is one.

    Raises `OSError` if it cannot, or if there is a symbolic link, a device or a folder.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        regular_file(path)  # one that is there is not opened: closing it would free SQLite's locks
        return
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        path.chmod(0o600)  # the umask may have taken even the owner's rights
    except BaseException:
        path.unlink()
        raise


def tighten(path: Path, *endings: str) -> None:
    """Takes the rights of others from a file, and from those beside it with one of the `endings`.

    Raises `OSError` for a file of another user, and for a device, which is everybody's.
    """
    for file in (path, *(path.with_name(path.name + ending) for ending in endings)):
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(regular_file(file).st_mode)
            if mode & 0o077 and os.name == "posix":
                file.chmod(mode & ~0o077)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path to write to; the file takes the place of `path` once it is whole.

    A device or a link, such as /dev/stdout, is itself written to. Raises `OSError` for a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and (path.is_symlink() or not path.is_file()):
        yield path
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
