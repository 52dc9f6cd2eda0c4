"""Where the newest tokens of an installation are kept, for all who use it."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Protocol

from ._paths import checked_path
from ._secrets import Secret

_LOOK_AGAIN = 0.02

# The file's mode bits for all but its owner.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class TokenStore(Protocol):
    """Keeps one text, which holds the newest tokens of one installation, and is a secret.

    `OAuthTokens` uses it so: where its tokens are no longer fresh it takes the lock, loads the
    text again in case somebody else has renewed them, and else marks the text, refreshes, and
    replaces the text before it uses what it got.

    A store whose lock can be lost while its holder lives has an attribute `lease`: the seconds
    for which the mark of another process is respected after it was renewed last.
    """

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Held by one at a time among all who use the store; free again when its holder dies."""
        ...

    async def load(self) -> str | None:
        """The text; `None` before the first."""
        ...

    async def replace(self, old: str | None, new: str) -> bool:
        """Makes `new` durable where the text still is `old`; `False` where it is another."""
        ...


class MemoryTokenStore:
    """The tokens of the sources of one event loop, for as long as it lives."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._lock = asyncio.Lock()

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Held by one at a time."""
        return self._lock

    async def load(self) -> str | None:
        """The text; `None` before the first."""
        return self._text

    async def replace(self, old: str | None, new: str) -> bool:
        """Keeps `new` where the text still is `old`."""
        if self._text != old:
            return False
        self._text = new
        return True


class FileTokenStore:
    """A token store in a file, which the processes of one machine may share.

    The file is readable by its owner alone (mode 0600) and changes in one step: a crash leaves
    the old text or the new one, on the disk. Beside it lies a lock file, which the system frees
    when a process dies. To begin anew, after the app was authorized again, delete the file.

    >>> store = FileTokenStore("tokens.json")

    Raises `OSError` where the file cannot be used.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = checked_path("path", path).resolve()

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self.path)!r})"

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Held by one at a time among the processes and tasks that use the file."""
        from filelock import FileLock, Timeout

        lock = FileLock(_beside(self.path, ".lock"), mode=0o600)
        while True:
            try:
                lock.acquire(blocking=False)
                break
            except Timeout:
                await asyncio.sleep(_LOOK_AGAIN)
        try:
            yield
        finally:
            lock.release()

    async def load(self) -> str | None:
        """The text; `None` before the first."""
        return await asyncio.to_thread(self._read)

    async def replace(self, old: str | None, new: str) -> bool:
        """Makes `new` durable where the text still is `old`."""
        return await asyncio.to_thread(self._replace, old, Secret(new))

    def _read(self) -> str | None:
        try:
            with self.path.open(encoding="utf-8") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _OTHERS:
                    with suppress(OSError):  # somebody else's, or on a read-only mount
                        self.path.chmod(0o600)
                text = Secret(file.read())
        except FileNotFoundError:
            return None
        return None if text.isspace() or not text else text

    def _replace(self, old: str | None, new: Secret) -> bool:
        if self._read() != old:
            return False
        try:
            self._write(new)
        except OSError as error:
            problem = OSError(error.errno, _explained(error), str(self.path))
        else:
            return True
        raise problem

    def _write(self, text: Secret) -> None:
        draft = _beside(self.path, ".new")
        draft.unlink(missing_ok=True)  # of a process that was killed
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with open(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
                draft.chmod(0o600)  # whatever the umask
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _make_durable(self.path.parent)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _explained(error: OSError) -> str:
    """What went wrong with the file, and what to do about it if that is not plain."""
    reason = error.strerror or type(error).__name__
    if error.errno == errno.EBUSY:
        return f"{reason}: it is mounted by itself, mount its folder instead"
    return reason


def _make_durable(folder: Path) -> None:
    """Brings a renaming to the disk, on systems where a folder can be opened."""
    with suppress(PermissionError):  # Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
