"""Journal of the command, which records every purchase made with it."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import JournalUnavailableError
from ..journal import PurchaseJournal, PurchaseRecord, read_records
from .folders import user_folder
from .output import one_line

F = TypeVar("F", bound=Callable[..., Any])


class CommandJournal(PurchaseJournal):
    """A purchase journal with its path."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def reconciling(self) -> str:
        """Shell command that finds out the outcome of its open purchases."""
        command = ["lcphone", "purchases", "--settle"]
        if self.path != _usual_path():
            command += ["--journal", str(self.path)]
        return shlex.join(command)


journal_option: Callable[[F], F] = click.option(
    "--journal",
    "path",
    metavar="PATH",
    type=click.Path(path_type=Path, readable=False),
    envvar="LCPHONE_JOURNAL",
    show_envvar=True,
    help="File that records purchases; by default in the user's settings folder.",
)


@contextmanager
def open_journal(path: Path | None) -> Iterator[CommandJournal]:
    """Opens the journal of `--journal` for writing."""
    file = path or _usual_path()
    try:
        if path is None:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = CommandJournal(file)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, f"{_reason(error)}: name another file with --journal") from None
    with closing(journal):
        try:
            yield journal
        except JournalUnavailableError as error:
            raise _unusable(file, f"{error.reason}: nothing was sent") from None


def read_journal(path: Path | None) -> tuple[list[PurchaseRecord], Path]:
    """Reads the purchases in the journal of `--journal`; also returns its path."""
    file = path or _usual_path()
    try:
        if not _is_there(file) and (path is None or file.parent.is_dir()):
            return [], file
        return read_records(file), file
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, _reason(error)) from None


def _is_there(file: Path) -> bool:
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _usual_path() -> Path:
    return user_folder() / "purchases.db"


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _unusable(path: Path, reason: object) -> click.ClickException:
    return click.ClickException(one_line(f"journal {path}: {reason}"))
