"""A clock that goes on while a test stops the time, and JSON of dates that such a test makes."""

import asyncio
import selectors
import time
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

# freezegun replaces `time.monotonic` in every module; this one it leaves alone, and so does
# time-machine. It is missing on Windows.
_CLOCK: Final[int | None] = getattr(time, "CLOCK_MONOTONIC", None)


def seconds() -> float:
    """Seconds that always pass, from any moment."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


_BEGAN: Final = time.time() - seconds()


def time_of_day() -> float:
    """Seconds since the epoch, of the machine's clock when this was imported."""
    return _BEGAN + seconds()


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose timers fire while a test stops the time."""

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())

    def time(self) -> float:
        """Seconds that always pass."""
        return seconds()


def to_json(value: object) -> bytes:
    """A value as JSON; dates may be freezegun's, which are of a class of its own."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"no JSON for a {type(value).__name__}")
