"""Progress of an audit on stderr: a bar on a terminal, else a line every five seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from .output import new_console

if TYPE_CHECKING:
    from ..audit import Progress

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def shown_progress() -> Iterator[Callable[[Progress], None]]:
    """Yields an `on_progress` function; the bar disappears at the end of the block."""
    console = new_console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    with _bar(console) as bar:
        task = bar.add_task("locations", total=None, text="")

        def show(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.locations,
                completed=progress.done,
                text=_progress_text(progress),
            )

        yield show


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
    )


def _lines() -> Callable[[Progress], None]:
    due = time.monotonic() + _SECONDS_BETWEEN_LINES

    def show(progress: Progress) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _SECONDS_BETWEEN_LINES
            done = f"{progress.done:,} of {progress.locations:,} locations"
            click.echo(f"{done}, {_progress_text(progress)}", err=True)

    return show


def _progress_text(progress: Progress) -> str:
    text = (
        f"{progress.numbers:,} numbers, {progress.rate:,.0f} a second, {progress.errors:,} errors"
    )
    left = progress.seconds_left
    return text if left is None else f"{text}, {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
