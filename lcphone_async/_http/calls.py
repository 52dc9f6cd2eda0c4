"""The way of a call: token, slot, attempt, response, and again where that may help."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import define, evolve

from .. import _wire
from .._internal.secrets import Secret
from ..auth.sources import TokenSource, renewed, token_of
from ..errors import (
    AuthenticationError,
    ClientClosedError,
    ConnectFailedError,
    DailyQuotaExhaustedError,
    TransportError,
)
from .body import decoded
from .circuit import CircuitBreaker
from .retry import RetryPolicy, call_with_retries

if TYPE_CHECKING:
    from .._wire.requests import Request
    from .._wire.responses import Response
    from ..limiter.registry import Limiter
    from ..models import RateLimitStatus
    from .transport import Transport

_logger = logging.getLogger("lcphone_async")


@define
class Tries:
    """What has become of a call so far."""

    count: int = 0
    in_doubt: bool = False
    """Whether the service may have acted on a request, and its response does not tell."""
    is_refused: bool = False
    """Whether the last request was answered by an error that seems to be clear."""
    before_each: Callable[[], Awaitable[None]] | None = None
    """What must be done before a request is sent, once there is a slot for it."""
    renewed: bool = False
    """Whether the token was renewed, which is done once."""


class Calls:
    """Every call of one client: it knows which are under way, and can end them."""

    def __init__(
        self,
        tokens: TokenSource,
        transport: Transport,
        limiter: Limiter,
        retry: RetryPolicy,
    ) -> None:
        self._tokens = tokens
        self._transport = transport
        self._limiter = limiter
        self._circuit = CircuitBreaker(retry.failure_budget)
        self._retry = retry
        self._closed = False
        self._under_way: set[asyncio.Timeout] = set()
        self._all_ended = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether there is a session that is to be closed."""
        return self._transport.is_open

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more calls."""
        return self._closed

    def check_open(self, request: Request) -> None:
        """Raises `ClientClosedError` once the client is closed."""
        if self._closed:
            raise ClientClosedError(request.method, request.path, "the client is closed")

    def rate_limit(self, location_id: str) -> RateLimitStatus:
        """What the service last said of a location's limits."""
        return self._limiter.status(location_id)

    def most_at_once(self, location_id: str) -> int:
        """How many of a location's requests the budget and the connections allow at once."""
        told = self._limiter.status(location_id).max_requests
        bounds = (self._limiter.max_requests, told, self._transport.max_connections)
        return min(filter(None, bounds))

    async def send(
        self, request: Request, tries: Tries | None = None, tokens: TokenSource | None = None
    ) -> Response:
        """The response to a request, after as many tries as it needs and may have.

        `tries` tells, also where it raises, whether the request may have been received; `tokens`
        are others than the client's.
        """
        self.check_open(request)
        call = asyncio.timeout(None)
        try:
            async with call:
                self._under_way.add(call)
                return await self._tried(request, Tries() if tries is None else tries, tokens)
        except TimeoutError:
            if call.expired():  # by close()
                self.check_open(request)
            raise
        finally:
            self._under_way.discard(call)
            if not self._under_way:
                self._all_ended.set()

    async def send_to_the_end(self, request: Request) -> Response:
        """The same for a response that must not be lost: `close` does not end it."""
        self.check_open(request)
        return await self._tried(request, Tries(), None)

    async def close(self) -> None:
        """Ends the calls under way with `ClientClosedError`."""
        self._closed = True
        now = asyncio.get_running_loop().time()
        for call in self._under_way:
            if not call.expired():
                call.reschedule(now)
        self._all_ended.clear()
        while self._under_way:
            await self._all_ended.wait()

    async def _tried(self, request: Request, tries: Tries, tokens: TokenSource | None) -> Response:
        attempt = partial(self._attempt, request, tries, tokens)
        return await call_with_retries(attempt, self._retry, repeatable=request.repeatable)

    async def _attempt(
        self, request: Request, tries: Tries, tokens: TokenSource | None
    ) -> Response:
        if request.scope is None:
            return await self._respond(request, None, tries)
        source = self._tokens if tokens is None else tokens
        token = await token_of(source, request.location_id)
        try:
            return await self._respond(request, token, tries)
        except AuthenticationError as error:
            if tries.renewed or not _wire.errors.is_invalid_token(error):
                raise
            refusal = error
        tries.renewed = True
        other = await renewed(source, request.location_id, token)
        if other is None:
            raise refusal
        return await self._respond(request, other, tries)

    async def _respond(self, request: Request, token: Secret | None, tries: Tries) -> Response:
        self._circuit.raise_if_open(request)  # before there is a slot to wait for
        try:
            async with self._limiter.slot(request.location_id, learns=True) as slot:
                self._circuit.acquire_probe(request)
                if tries.before_each is not None:
                    await tries.before_each()
                response = await self._logged(request, token, tries)
                status = _wire.responses.stated_error(response)
                if status is not None and not request.repeatable:
                    status = response.status  # it may have acted, whatever the body says
                refused = status == HTTPStatus.TOO_MANY_REQUESTS
                slot.learn(_wire.headers.rate_limit(response.headers), refused=refused)
        except DailyQuotaExhaustedError as error:  # the limiter knows no calls
            raise evolve(error, method=request.method, path=request.path) from None
        except TransportError as error:
            self._circuit.record(error)
            raise
        if status is None:
            self._circuit.record()
            return response
        refusal = await decoded(
            _wire.errors.error_of, request, evolve(response, status=status), token
        )
        tries.in_doubt = _wire.errors.is_in_doubt(refusal)
        tries.is_refused = not tries.in_doubt
        self._circuit.record(refusal)
        raise refusal

    async def _logged(self, request: Request, token: Secret | None, tries: Tries) -> Response:
        tries.count += 1
        tries.in_doubt = True
        now = asyncio.get_running_loop().time
        started = now()
        outcome = "no answer"
        try:
            response = await self._transport.send(request, token)
            outcome = str(response.status)
        except (ConnectFailedError, ClientClosedError):
            tries.in_doubt = False
            raise
        finally:
            _logger.debug(
                "%s %s: %s in %.3f s, try %d",
                request.method,
                request.route,
                outcome,
                now() - started,
                tries.count,
            )
        return response
