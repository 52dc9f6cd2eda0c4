"""Whether to send at all: the tries of a client that may fail have a budget."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from attrs import define, field

from ..errors import (
    APIError,
    CircuitOpenError,
    ClientClosedError,
    LCPhoneError,
    LocalResourceError,
    TransportError,
)
from .retry import is_outage

if TYPE_CHECKING:
    from .._wire.requests import Request

_logger = logging.getLogger("lcphone_async")

# A try that is answered makes up for so many that failed: one bad location, whose every call fails
# as often as it may be tried, closes the way to no others.
_MADE_UP_FOR = 10

# Seconds. Where many answers fail though the service is there, the first may: another comes soon.
_PAUSE = 2.0


@define(eq=False)
class Circuit:
    """Opens when a whole budget of tries failed that no answer made up for; then it sends nothing.

    While it is open one request goes ahead after each pause; the first answer closes it.
    """

    budget: int
    _left: int = field(init=False)
    """Failures that it still takes; none while it is open."""
    _next_try: float = field(default=0.0, init=False)
    _reason: str = field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.budget

    def check(self, request: Request) -> None:
        """Raises `CircuitOpenError` while nothing may be sent."""
        if self._left:
            return
        wait = self._next_try - asyncio.get_running_loop().time()
        if wait > 0:
            tenths = math.ceil(10 * wait) / 10
            raise CircuitOpenError(request.method, request.path, self._reason, tenths)

    def admit(self, request: Request) -> None:
        """The same for a request that is sent now: while open, no other is until the next pause."""
        if self._left:
            return
        self.check(request)
        self._pause()

    def learn(self, error: LCPhoneError | None = None) -> None:
        """Takes in what became of a request: an answer, or how it failed."""
        if isinstance(error, ClientClosedError | LocalResourceError):
            return  # which says nothing of the service
        if error is not None and is_outage(error):
            self._failed(error)
        elif not self._left:
            _logger.warning("the service answers again: all calls are sent")
            self._left = self.budget
        else:
            self._left = min(self._left + _MADE_UP_FOR, self.budget)

    def _failed(self, error: LCPhoneError) -> None:
        self._reason = _reason(error)
        if not self._left:
            return
        self._left -= 1
        if not self._left:
            self._pause()
            _logger.warning(
                "the service seems to be down, it is asked every %g s from now on: %s",
                _PAUSE,
                self._reason,
            )

    def _pause(self) -> None:
        self._next_try = asyncio.get_running_loop().time() + _PAUSE


def _reason(error: LCPhoneError) -> str:
    """What happened, without which call it happened to."""
    match error:
        case APIError():
            return f"{error.status}: {error.message}"
        case TransportError():
            return error.reason
    return type(error).__name__
