"""The journal of the command: every purchase that is made with it, settled or not."""

from __future__ import annotations

import functools
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from ..journal import Past, PurchaseJournal, PurchaseRecord
from .output import plain


class CommandJournal(PurchaseJournal):
    """A journal that knows where it is."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def settling(self) -> str:
        """The command that finds out what became of its open purchases."""
        command = ["lcphone", "purchases", "--settle"]
        if self.path != _default_path():
            command += ["--journal", str(self.path)]
        return shlex.join(command)

    async def past(self, location_id: str, phone_number: str) -> Past:
        """What is known of the number, or says that nothing is sent."""
        try:
            return await super().past(location_id, phone_number)
        except sqlite3.Error as error:
            raise _unusable(self.path, f"{error}: nothing was sent") from None

    async def begin(self, record: PurchaseRecord, past: Past) -> None:
        """Keeps a purchase before it is sent, or says that nothing is."""
        try:
            await super().begin(record, past)
        except sqlite3.Error as error:
            raise _unusable(self.path, f"{error}: nothing was sent") from None


def of_journal(verb: Callable[..., None]) -> Callable[..., None]:
    """Gives a verb the journal of `--journal`, open while it runs."""

    @click.option(
        "--journal",
        "path",
        metavar="PATH",
        type=click.Path(path_type=Path),
        envvar="LCPHONE_JOURNAL",
        show_envvar=True,
        help="Where purchases are kept; by default in the user's own folder.",
    )
    @functools.wraps(verb)
    def command(path: Path | None, **rest: Any) -> None:
        path = path or _new_default_path()
        try:
            with closing(CommandJournal(path)) as journal:
                verb(journal=journal, **rest)
        except sqlite3.Error as error:
            raise _unusable(path, error) from None

    return command


def _default_path() -> Path:
    return Path(click.get_app_dir("lcphone"), "purchases.db")


def _new_default_path() -> Path:
    path = _default_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _unusable(path: Path, reason: object) -> click.ClickException:
    return click.ClickException(plain(f"journal {path}: {reason}"))
