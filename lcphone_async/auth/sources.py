"""What a token source is, and those that hold nothing of their own to renew."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, Protocol, runtime_checkable
from weakref import ReferenceType, ref

from attrs import define, field, frozen

from .._internal import checks
from .._internal.secrets import Secret
from ..errors import ClientClosedError, LCPhoneError, TokenUnavailableError
from .tokens import Grant

# What may stand in a bearer token: visible ASCII (RFC 9110, 5.5, less white space).
_TOKEN = re.compile(r"[\x21-\x7e]+")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"

# The scheme before a token in the header, which is often copied with it.
_SCHEME = re.compile(r"(authorization\s*:\s*)?bearer(\s|:|$)", re.IGNORECASE)

# So long a line servers take, and no longer one.
_MAX_LENGTH = 8_000

TokenCall = Callable[[str], Awaitable[str]]
"""An async function from a location's id to its token."""


@runtime_checkable
class TokenSource(Protocol):
    """Anything that gives a token for a location's call.

    >>> class FromVault:
    ...     async def token(self, location_id: str) -> str:
    ...         return await vault.read(f"lcphone/{location_id}")

    An async function does as well: `LCPhoneClient(lambda location_id: vault.read(location_id))`.
    """

    async def token(self, location_id: str) -> str:
        """The bearer token for a call on this location; what it raises comes out of the call."""
        ...


@runtime_checkable
class RenewableTokenSource(TokenSource, Protocol):
    """A token source that can do something about a token which the service calls invalid."""

    async def renew(self, location_id: str, refused: str) -> str:
        """Another token than the one that was refused; the call is made again with it, once."""
        ...


@runtime_checkable
class BoundTokenSource(TokenSource, Protocol):
    """A token source that asks the service itself, or hands on to others that do."""

    def bind(self, service: TokenService) -> None:
        """Called by each client that it is given to, with its way to the service."""
        ...


class TokenService(Protocol):
    """The service's token endpoints, as a client reaches them."""

    @property
    def timeout(self) -> float:
        """Seconds that a token source of the user's may take."""
        ...

    @property
    def base_url(self) -> str:
        """Where they are."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the client can still be used."""
        ...

    def at(self, base_url: str | None, api_version: str | None) -> TokenService:
        """The same at another base URL or under the other contract."""
        ...

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that the client gives time to end when it is closed."""
        ...

    async def refresh(self, client_id: str, client_secret: str, refresh_token: str) -> Grant:
        """New tokens; raises `AuthorizationLostError` where the refresh token is refused."""
        ...

    async def reconnect(
        self, client_id: str, client_secret: str, location_id: str | None, company_id: str | None
    ) -> Grant:
        """New tokens of an installation whose refresh token is refused; raises `LCPhoneError`."""
        ...

    async def location_token(self, company_id: str, location_id: str, agency: TokenSource) -> Grant:
        """A token of the location, for one of the agency."""
        ...


def _checked(token: str) -> Secret:
    return checked_token(token)


@frozen
class StaticToken:
    """One token for every call, such as a private integration token (`pit-…`)."""

    _value: Secret = field(alias="value", repr=False, converter=_checked)

    async def token(self, location_id: str) -> str:  # noqa: ARG002  # the same for all
        """The token, whatever the location."""
        return self._value


@define(eq=False)
class ServiceOfSource:
    """The way to the service that a source was given: that of a client which is still open.

    A client that is dropped is not kept for its sake.
    """

    base_url: str | None
    api_version: str | None
    _home: str | None = None
    _bound: list[ReferenceType[TokenService]] = field(factory=list)

    @classmethod
    def of(cls, base_url: str | None, api_version: checks.ApiVersion | None) -> ServiceOfSource:
        """Checks the arguments of a source; the client knows whether `http://` is allowed."""
        return cls(
            None if base_url is None else checks.base_url(base_url, allow_http=True),
            None if api_version is None else checks.api_version(api_version),
        )

    def bind(self, service: TokenService) -> None:
        """Takes one more client's; all must be of one base URL."""
        if self._home not in {None, service.base_url}:
            raise ValueError(
                f"this token source is in use for {self._home}: its tokens must not "
                f"go to {service.base_url}, make another source for that"
            )
        service.at(self.base_url, self.api_version)  # raises for what makes no sense
        still_open = [ref(other) for other in self._there() if other.is_open]
        self._bound = [*still_open, ref(service)]
        self._home = service.base_url

    def get(self) -> TokenService:
        """The one that was bound last, of those that are open, or else of all."""
        there = self._there()
        if not there:
            raise ValueError("this token source has no LCPhoneClient, or none is left (see `bind`)")
        service = next((each for each in there[::-1] if each.is_open), there[-1])
        return service.at(self.base_url, self.api_version)

    def _there(self) -> list[TokenService]:
        return [service for each in self._bound if (service := each()) is not None]


class ServiceTokens:
    """Base of the sources that ask the service: their way to it, and one event loop at a time."""

    def __init__(self, service: ServiceOfSource) -> None:
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._claim = threading.Lock()

    def bind(self, service: TokenService) -> None:
        """Called by each client that it is given to, with its way to the service."""
        self._service.bind(service)

    def _check_loop(self) -> None:
        """Raises `TokenUnavailableError` while another event loop runs that uses this source.

        A refresh belongs to its loop: another loop would wait for it for ever, and two loops that
        refresh at once can lose the installation.
        """
        loop = asyncio.get_running_loop()
        with self._claim:
            other = None if self._loop is loop else self._loop
            if other is not None and other.is_running():
                raise TokenUnavailableError(
                    "the token source is in use on another event loop: make one for each, "
                    "over the same token store"
                )
            self._loop = loop


@define(eq=False)
class _Request:
    """A token that a source was asked for, and the calls that wait for it."""

    task: asyncio.Task[str]
    give_up_at: float
    waiting: int = 0


class UserTokens:
    """A token source of the user's, which is asked once at a time for each location.

    The calls that need the same token at once share what it returns or raises. The source is
    cancelled if none of them waits any more, and if it takes longer than the client's `timeout`.
    """

    def __init__(self, source: TokenSource | TokenCall) -> None:
        self._source = source
        self._ask: TokenCall
        if isinstance(source, TokenSource) and callable(source.token):
            self._ask = source.token
        else:
            self._ask = source
        self._limit = 60.0
        self._requests: dict[tuple[str, ...], _Request] = {}

    def __repr__(self) -> str:
        return repr(self._source) if isinstance(self._source, TokenSource) else "TokenCall(…)"

    def bind(self, service: TokenService) -> None:
        """Takes the client's limit, and hands the service on if the source wants it."""
        self._limit = service.timeout
        bind(self._source, service)

    async def token(self, location_id: str) -> str:
        """The token that the source returns."""
        return await self._shared(self._ask, location_id)

    async def renew(self, location_id: str, refused: str) -> str:
        """Another token, or the refused one if the source knows no other."""
        if not isinstance(self._source, RenewableTokenSource):
            return refused
        return await self._shared(self._source.renew, location_id, refused)

    async def _shared(self, ask: Callable[..., Awaitable[str]], *about: str) -> str:
        """The outcome of the request that is under way, or else of a new one."""
        loop = asyncio.get_running_loop()
        request = self._requests.get(about)
        if request is None or request.task.get_loop() is not loop:
            request = _Request(_asked(ask, *about), loop.time() + self._limit)
            self._requests[about] = request
        request.waiting += 1
        try:
            await asyncio.wait([request.task], timeout=request.give_up_at - loop.time())
        finally:
            request.waiting -= 1
            if self._requests.get(about) is request and (
                request.task.done() or not request.waiting
            ):
                del self._requests[about]
            if not request.waiting:
                request.task.cancel()
        if not request.task.done() or request.task.cancelled():
            what = (
                "was cancelled"
                if request.task.cancelled()
                else f"took longer than {self._limit:g} s"
            )
            raise TokenUnavailableError(f"the token source {what}")
        return request.task.result()


def _asked(ask: Callable[..., Awaitable[str]], *about: str) -> asyncio.Task[str]:
    """A task that awaits the token of a source's function."""
    given = ask(*about)
    if not isawaitable(given):
        raise TypeError("a token source must be an async function, or have an async method `token`")

    async def answer() -> str:
        return await given

    return asyncio.create_task(answer())


async def token_of(source: TokenSource, location_id: str) -> Secret:
    """The token for a call on a location; raises `TokenUnavailableError` if it cannot be one."""
    return _usable(await source.token(location_id))


def _usable(given: object) -> Secret:
    """The token that a source returned, if it can be sent."""
    problem = f"the token source returned {type(given).__name__}, not a string"
    if isinstance(given, str):
        try:
            return checked_token(given, "the value that the token source returned")
        except ValueError as error:
            problem = str(error)
    del given  # so that it is not among the locals of a traceback
    raise TokenUnavailableError(problem)


def checked_token(token: object, name: str = "token") -> Secret:
    """A token that can be a header; white space around it, as pasted, is taken off.

    Raises `TypeError` or `ValueError`, neither of which shows the token.
    """
    if not isinstance(token, str):
        raise TypeError(f"{name} must be a string or a token source, not {type(token).__name__}")
    stripped = str.strip(token)
    if not stripped:
        raise ValueError(f"{name} is empty")
    if stripped[0] in _QUOTES or stripped[-1] in _QUOTES:
        raise ValueError(f"{name} is in quotes: take them off")
    if _SCHEME.match(stripped):
        raise ValueError(f'{name} begins with "Bearer": leave that out, the client adds it')
    if len(stripped) > _MAX_LENGTH:
        raise ValueError(f"{name} is longer than {_MAX_LENGTH:,} characters")
    if not _TOKEN.fullmatch(stripped):
        raise ValueError(f"{name} holds white space, a control character or a non-ASCII one")
    return token if isinstance(token, Secret) and token == stripped else Secret(stripped)


def token_source(token: str | TokenSource | TokenCall, name: str = "token") -> TokenSource:
    """The source that an argument stands for."""
    if isinstance(token, type):
        raise TypeError(f"{name} must be a string or a token source, not a class of them")
    if isinstance(token, StaticToken | ServiceTokens):
        return token
    if callable(token) or (isinstance(token, TokenSource) and callable(token.token)):
        return UserTokens(token)
    return StaticToken(checked_token(token, name))


def bind(source: object, service: TokenService) -> None:
    """Gives a source its way to the service, where it wants one."""
    if isinstance(source, BoundTokenSource):
        source.bind(service)


async def renewed(source: TokenSource, location_id: str, refused: str) -> Secret | None:
    """Another token than the one that was refused, where the source can give one."""
    if not isinstance(source, RenewableTokenSource):
        return None
    token = _usable(await source.renew(location_id, refused))
    return None if token == refused else token


def unavailable(error: LCPhoneError) -> TokenUnavailableError | ClientClosedError:
    """Returns the error that a caller sees of a failed refresh."""
    if isinstance(error, TokenUnavailableError | ClientClosedError):
        return error
    return TokenUnavailableError(str(error), getattr(error, "status", None))
