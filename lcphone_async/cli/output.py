"""How the command writes: any text made harmless, JSON lines, and stdout without blocking.

A person who reads `lcphone numbers | less` may take minutes for a page. Meanwhile the event loop
must run, or the answers on their way would time out and Ctrl-C would wait for the reader.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import sys
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
from rich.console import Console, RenderableType

from ..errors import LCPhoneError

_NO_TERMINAL_WIDTH = 100
# So many characters fit into a pipe that says it can be written to; UTF-8 takes up to 4 bytes.
_CHUNK = getattr(select, "PIPE_BUF", 512) // 4


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command: rich would raise `SystemExit` in the middle of the loop."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def new_console(*, stderr: bool = False) -> Console:
    """A console that takes text as text, and does not fold it to 80 columns for a log."""
    console = _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _NO_TERMINAL_WIDTH
    return console


def one_line(text: object) -> str:
    """Text on one line, in which what could steer a terminal is written out as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )


def os_error_text(error: OSError) -> str:
    """What the system said of a file, after the file's name."""
    if error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return error.strerror or str(error)


def json_lines(values: Iterable[Any]) -> str:
    """A line of JSON for each model, in ASCII, with the names of its fields."""
    return "".join(
        json.dumps(attrs.asdict(value, value_serializer=_json_value)) + "\n" for value in values
    )


def _json_value(_model: object, _field: object, value: Any) -> Any:
    match value:
        case Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case LCPhoneError():
            status = getattr(value, "status", None)
            return {"type": type(value).__name__, "status": status, "message": str(value)}
        case _:
            return value


async def write(text: str) -> None:
    """Writes to stdout as fast as it is read, and lets the event loop run meanwhile."""
    for start in range(0, len(text), _CHUNK):
        await _wait_until_writable(sys.stdout.fileno())
        sys.stdout.write(text[start : start + _CHUNK])
        sys.stdout.flush()


async def write_rich(console: Console, renderable: RenderableType) -> None:
    """The same for what rich draws."""
    with console.capture() as drawn:
        console.print(renderable)
    await write(drawn.get())


async def _wait_until_writable(stdout: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_writer(stdout, ready.set)
    except (NotImplementedError, PermissionError):  # Windows; a file, which nobody waits for
        return
    try:
        await ready.wait()
    finally:
        loop.remove_writer(stdout)
