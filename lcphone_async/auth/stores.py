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

from .._internal.lazy import import_whole
from .._internal.paths import checked_path, tighten
from .._internal.secrets import Secret

_LOOK_AGAIN = 0.02

# What helps against errors that do not say so. The lock and the new text are files of their own.
_IN_ITS_FOLDER = "the token file needs a folder in which files can be made"
_HINTS = {
    errno.EBUSY: "a file that is mounted by itself cannot be replaced, mount its folder instead",
    errno.EACCES: _IN_ITS_FOLDER,
    errno.EPERM: _IN_ITS_FOLDER,
    errno.EROFS: _IN_ITS_FOLDER,
    errno.EMFILE: "raise `ulimit -n`",
}


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

    The file is readable by its owner alone (mode 0600; one that others may read is taken from
    them) and changes in one step: a crash leaves the old text or the new one, on the disk. Beside
    it lies a lock file, which the system frees when a process dies. An empty file counts as none.
    To begin anew, after the app was authorized again, delete the file.

    >>> store = FileTokenStore("tokens.json")

    Raises `OSError` where the file cannot be used.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path: Path = checked_path("path", path).resolve()
        for needed in ("filelock", "encodings.utf_8_sig"):
            import_whole(needed)  # later there may be no file descriptor left for it

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
            except OSError as error:
                raise self._problem(error) from None
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
            text = _text_of(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._problem(error) from None
        return None if text.isspace() or not text else text

    def _replace(self, old: str | None, new: Secret) -> bool:
        if self._read() != old:
            return False
        try:
            self._write(new)
        except OSError as error:
            problem = self._problem(error)
        else:
            return True
        raise problem  # without the frames of its cause: they hold the tokens

    def _problem(self, error: OSError) -> OSError:
        """An error that names the token file, and says what to do if that is not plain."""
        parts = (error.strerror or type(error).__name__, _HINTS.get(error.errno or 0))
        return OSError(error.errno, ": ".join(filter(None, parts)), str(self.path))

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


def _text_of(path: Path) -> Secret:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    with suppress(OSError):  # another user's file, or on a read-only mount
        tighten(path)
    # What is not UTF-8 is not tokens either; an error of a decoder would hold all of it.
    return Secret(path.read_text(encoding="utf-8-sig", errors="replace"))


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _make_durable(folder: Path) -> None:
    """Brings a renaming to the disk, on systems where a folder can be opened."""
    with suppress(PermissionError):  # Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
