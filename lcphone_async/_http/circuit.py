"""Circuit breaker: stops sending when the failure budget of a client is spent."""

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

# A response makes up for this many failures, so that one location whose calls all fail as often as
# they may be tried does not open the circuit for the others.
_FAILURES_PER_RESPONSE = 10

# Seconds between probes. Short, since a single probe may meet one of the remaining failures.
_PROBE_INTERVAL = 2.0


@define(eq=False)
class CircuitBreaker:
    """Circuit breaker of a client: it opens when the failure budget is spent.

    Each failed try spends one unit of the budget, and a response earns up to ten back. While the
    circuit is open, one request passes as a probe every two seconds, and the first response closes
    the circuit.
    """

    failure_budget: int
    _left: int = field(init=False)
    """Failures that are left until it opens; 0 while it is open."""
    _next_probe: float = field(default=0.0, init=False)
    _reason: str = field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.failure_budget

    def raise_if_open(self, request: Request) -> None:
        """Raises `CircuitOpenError` if the circuit is open and no probe is due."""
        if self._left:
            return
        wait = self._next_probe - asyncio.get_running_loop().time()
        if wait > 0:
            tenths = math.ceil(10 * wait) / 10
            raise CircuitOpenError(request.method, request.path, self._reason, tenths)

    def acquire_probe(self, request: Request) -> None:
        """Like `raise_if_open`, and makes the request the probe if the circuit is open."""
        if self._left:
            return
        self.raise_if_open(request)
        self._schedule_probe()

    def record(self, error: LCPhoneError | None = None) -> None:
        """Record the outcome of a request: a response, or the error that it failed with."""
        if isinstance(error, ClientClosedError | LocalResourceError):
            return  # these tell nothing about the service
        if error is not None and is_outage(error):
            self._record_failure(error)
        elif not self._left:
            _logger.warning("circuit closed: the service responds again")
            self._left = self.failure_budget
        else:
            self._left = min(self._left + _FAILURES_PER_RESPONSE, self.failure_budget)

    def _record_failure(self, error: LCPhoneError) -> None:
        self._reason = _reason(error)
        if not self._left:
            return
        self._left -= 1
        if not self._left:
            self._schedule_probe()
            _logger.warning("circuit open; probing every %g s: %s", _PROBE_INTERVAL, self._reason)

    def _schedule_probe(self) -> None:
        self._next_probe = asyncio.get_running_loop().time() + _PROBE_INTERVAL


def _reason(error: LCPhoneError) -> str:
    """What happened, without which call it happened to."""
    match error:
        case APIError():
            return f"{error.status}: {error.message}"
        case TransportError():
            return error.reason
    return type(error).__name__
