"""Output of the command: escaped text, JSON lines, and writes to stdout that do not block.

A reader of `lcphone numbers | less` may take minutes for a page. The event loop must run during
that time, or responses would time out and Ctrl-C would have no effect.
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
# A pipe that is ready for writing takes PIPE_BUF bytes; UTF-8 has up to 4 bytes a character.
_CHUNK = getattr(select, "PIPE_BUF", 512) // 4


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raises the error again: rich would raise `SystemExit` within the event loop."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def new_console(*, stderr: bool = False) -> Console:
    """Returns a console without markup, and without a fold at 80 columns for logs."""
    console = _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _NO_TERMINAL_WIDTH
    return console


def one_line(text: object) -> str:
    """Returns text on one line, with control characters as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )


def os_error_text(error: OSError) -> str:
    """Returns the message of a system error after the file's name."""
    if error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return error.strerror or str(error)


def json_lines(values: Iterable[Any]) -> str:
    """Returns a line of JSON in ASCII for each model, with its fields' names as keys."""
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
    """Writes to stdout as fast as it is read, without blocking the event loop."""
    for start in range(0, len(text), _CHUNK):
        await _wait_until_writable(sys.stdout.fileno())
        sys.stdout.write(text[start : start + _CHUNK])
        sys.stdout.flush()


async def write_rich(console: Console, renderable: RenderableType) -> None:
    """Writes a rich renderable to stdout without blocking the event loop."""
    with console.capture() as drawn:
        console.print(renderable)
    await write(drawn.get())


async def _wait_until_writable(stdout: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_writer(stdout, ready.set)
    except (NotImplementedError, PermissionError):  # Windows; a regular file, which never blocks
        return
    try:
        await ready.wait()
    finally:
        loop.remove_writer(stdout)
