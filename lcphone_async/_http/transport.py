"""One attempt over aiohttp: a request and a token in, a whole response or an error out."""

from __future__ import annotations

import asyncio
import errno
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

import aiohttp
import msgspec
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from .._internal import checks
from .._internal.secrets import Secret, SecretBytes
from .._version import __version__
from .._wire.requests import Request
from .._wire.responses import Response
from ..errors import (
    AnswerTooLargeError,
    ClientClosedError,
    ConnectFailedError,
    LocalResourceError,
    RequestTimeoutError,
    TransportError,
)
from .body import ACCEPTED, TooLargeError, UnreadableError, read_whole
from .network import Network

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

_TOTAL = 60.0
DEFAULT_TIMEOUT = aiohttp.ClientTimeout(total=_TOTAL, sock_connect=10)

# With aiohttp's own 64 KiB, reading a page of 300 kB is paused and resumed over and over.
_READ_BUFFER = 2**18

# Cloudflare, before the service, turns away Python's default one (its error 1010).
_USER_AGENT = f"lcphone_async/{__version__}"


# Why this machine may make no connection, and what to do. Others, such as an unreachable network,
# may be the service's or pass by themselves.
_OUT_OF_MEMORY = "this machine has no memory left for connections"
_FORBIDDEN = "this machine forbids the connection: see its firewall"
_LOCAL_CAUSES: dict[int | None, str] = {
    errno.EMFILE: "this process has too many files and connections open: raise `ulimit -n`",
    errno.ENFILE: "this machine has too many files and connections open: see `fs.file-max`",
    errno.EADDRNOTAVAIL: "this machine has no free port left, or no such address",
    errno.ENOBUFS: _OUT_OF_MEMORY,
    errno.ENOMEM: _OUT_OF_MEMORY,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}


class Transport:
    """Sends requests over one session: its own, which it closes, or the caller's."""

    def __init__(
        self,
        base_url: str,
        api_version: str,
        session: aiohttp.ClientSession | None,
        timeout: float | aiohttp.ClientTimeout | None,
        *,
        max_body_size: int,
        allow_http: bool = False,
        trust_env: bool = False,
    ) -> None:
        if session is not None:
            _check_session(session)
        is_trusted = checks.switch("trust_env", trust_env)
        if is_trusted and session is not None:
            raise ValueError("trust_env is for the client's own session: set up yours instead")
        self.allow_http = checks.switch("allow_http", allow_http)
        self.base_url = checks.base_url(base_url, allow_http=allow_http)
        self._network = Network.from_env() if is_trusted else Network()
        self._network.proxy_for(URL(self.base_url))  # raises for one that cannot be used
        self._max_body_size = checks.whole_number("max_body_size", max_body_size, 1)
        self.api_version = checks.api_version(api_version)
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED,
            "User-Agent": _USER_AGENT,
        }
        self._session = session
        # Those of the call replace those of the session, which aiohttp does not show.
        self._middlewares = getattr(session, "_middlewares", ())
        self._timeout = _client_timeout(timeout)
        self._timeout_but_total = _but_total(self._timeout)
        self._owns_session = session is None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has a session of its own that is not closed yet."""
        return self._owns_session and self._session is not None and not self._session.closed

    @property
    def token_timeout(self) -> float:
        """Seconds that a token may take: an attempt's, or the default if that has no limit."""
        return self._timeout.total or _TOTAL

    @property
    def max_connections(self) -> int | None:
        """How many connections the session may have at once; `None` for any number."""
        if self._session is None or self._session.connector is None:
            return 100  # aiohttp's default, of the session that is to come
        connector = self._session.connector
        return min(filter(None, (connector.limit, connector.limit_per_host)), default=None)

    async def send(self, request: Request, token: str | None) -> Response:
        """The service's response, read whole, whatever its status.

        Raises `TransportError`, or what is under it.
        """
        failure: type[TransportError] = TransportError
        total = self._total(request)
        try:
            async with asyncio.timeout(total):
                return await self._send(request, token)
        except _NoConnectionError as error:
            cause = error.__cause__
            failed = LocalResourceError if error.is_local else ConnectFailedError
            raise failed(request.method, request.path, str(error)) from cause
        except TimeoutError:
            failure, reason = (
                RequestTimeoutError,
                f"no response within {_told(total, self._timeout.sock_read)}",
            )
        except TooLargeError:
            failure = AnswerTooLargeError
            reason = (
                f"the response has more than {self._max_body_size} bytes (ask for less, such as by "
                "a smaller page_size, or give the client a larger max_body_size)"
            )
        except UnreadableError:
            reason = "the response is in an encoding that cannot be read"
        except aiohttp.ClientResponseError:
            reason = "the response is not HTTP"
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(request.method, request.path, _reason(error)) from _bare(error)
        # aiohttp's own errors hold the URL with its query here, or the headers with the token.
        raise failure(request.method, request.path, reason)

    async def _send(self, request: Request, token: str | None) -> Response:
        session = self._open_session(request)
        target = f"{request.base_url or self.base_url}{request.path}"
        if request.query:
            target += f"?{request.query}"
        url = URL(target, encoded=True)
        async with session.request(
            request.method,
            url,
            proxy=self._proxy_for(url),
            data=_body(request),
            headers=self._headers_of(request, token),
            timeout=self._timeout_but_total,
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            middlewares=(*self._middlewares, _Attempts()),
        ) as response:
            body = await read_whole(response, self._max_body_size)
            return Response(response.status, response.headers, body)

    def _proxy_for(self, url: URL) -> URL | None:
        try:
            return self._network.proxy_for(url)
        except ValueError as error:
            raise _NoConnectionError(str(error)) from None

    def _headers_of(self, request: Request, token: str | None) -> dict[str, str]:
        headers = {**self._headers, "Version": request.api_version or self.api_version}
        if token is not None:
            headers["Authorization"] = Secret(f"Bearer {token}")
        if request.json is not None:
            headers["Content-Type"] = "application/json"
        elif request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers

    def _total(self, request: Request) -> float | None:
        """Seconds for the request as a whole."""
        total = self._timeout.total or None  # 0 is none, as in aiohttp
        if request.timeout is None or (total is not None and total < request.timeout):
            return total
        return request.timeout

    def _open_session(self, request: Request) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None:
            # Without cookies: the service documents none, and a jar of them could only grow.
            self._session = aiohttp.ClientSession(
                connector=_Connector(ssl=self._network.trusted or True),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._loop = loop
        problem = ""
        if self._session.closed:
            problem = "the session is closed"
        elif self._owns_session and self._loop is not loop:
            problem = "the client belongs to another event loop: make one for each"
        if problem:
            raise ClientClosedError(request.method, request.path, problem)
        return self._session

    async def close(self) -> None:
        """Closes the session, if it is our own."""
        if self._owns_session and self._session is not None:
            await self._session.close()


class _Connector(aiohttp.TCPConnector):
    """Uses no connection on which something came that nobody had asked for.

    aiohttp would take it for the response to the next request, and so on for all after it.

    Nor does it leave one open when it is closed: over TLS, asyncio waits up to 30 s for a server
    to agree to the end of a connection that was given up, and aiohttp does not wait for asyncio.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known: WeakKeyDictionary[ResponseHandler, asyncio.Transport | None]
        self._known = WeakKeyDictionary()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # as aiohttp has it
    ) -> Connection:
        """A connection on which nothing is waiting."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = cast("ResponseHandler", connection.protocol)
            is_new = protocol not in self._known
            self._known[protocol] = connection.transport
            if not protocol.should_close:
                return connection
            connection.close()
            if is_new:  # the next one would be like it
                raise _NoConnectionError("the server says something before it is asked")

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Closes all connections, also those that are closing already."""
        await super().close(abort_ssl=abort_ssl)
        if self._loop.is_closed():
            return
        ends = []
        for protocol, transport in self._known.items():
            if transport is not None and (end := protocol.closed) is not None:
                transport.abort()
                ends.append(end)
        await asyncio.gather(*ends, return_exceptions=True)


class _NoAnswerError(aiohttp.ClientConnectionError):
    """The connection ended before the response; unlike aiohttp's own, not sent again by aiohttp."""


class _NoConnectionError(aiohttp.ClientConnectionError):
    """There was no connection to send the request on."""

    def __init__(self, reason: str, *, is_local: bool = False) -> None:
        super().__init__(reason)
        self.is_local = is_local


class _Attempts:
    """The innermost middleware of one request, which another may call more than once.

    If that one's repetition finds no connection, an earlier attempt may have had one.
    """

    def __init__(self) -> None:
        self._were_sent = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        were_sent, self._were_sent = self._were_sent, True
        try:
            return await _send_once(request, handler)
        except _NoConnectionError as error:
            if were_sent:
                raise _NoAnswerError(f"sent before, and then: {error}") from error
            self._were_sent = False
            raise


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A middleware: aiohttp would send a GET again, in one slot, when its connection breaks.

    It is the innermost: only here does a failed connection surely belong to this request, and
    not to what a hook or a middleware of the session's owner does besides.
    """
    try:
        return await handler(request)
    except aiohttp.ConnectionTimeoutError:
        raise _NoConnectionError("no connection in time") from None
    except aiohttp.ClientHttpProxyError as error:
        reason = f"the proxy refused with {error.status}"
        if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            reason += ": its URL needs a user name and a password that are right"
        raise _NoConnectionError(reason) from None
    except aiohttp.ClientConnectorError as error:
        if not _is_of(request, error):
            raise _NoAnswerError(_reason(error)) from error
        reason = _connect_failure(error)
        hint = _LOCAL_CAUSES.get(_errno(error.os_error))
        if hint is not None:
            reason += f" ({hint})"
        raise _NoConnectionError(reason, is_local=hint is not None) from _bare(error)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _NoAnswerError(_reason(error)) from error
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        reason = f"cannot look up {request.url.host}: {error} (see `ulimit -u`, and the memory)"
        raise _NoConnectionError(reason, is_local=True) from _bare(error)


def _connect_failure(error: aiohttp.ClientConnectorError) -> str:
    reason = f"cannot connect to {error.host}:{error.port}: {_reason(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason += " (SSL_CERT_FILE, or the command's --ca-bundle, names the CAs to trust)"
    return reason


def _errno(error: OSError) -> int | None:
    """What was wrong; the look-up of a name does not say whether it had no descriptor for it."""
    if not isinstance(error, socket.gaierror):
        return error.errno
    try:
        socket.socket().close()
    except OSError as without_a_name:
        return without_a_name.errno
    return None


def _is_of(request: aiohttp.ClientRequest, error: aiohttp.ClientConnectorError) -> bool:
    """Whether it is the request's own connection, or that of its proxy, that failed."""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return True
    return (error.host, error.port) == (request.url.raw_host, request.url.port)


def _check_session(session: aiohttp.ClientSession) -> None:
    """Its own `Authorization` would go out where a call has none, or be in the way of the token."""
    checks.instance("session", session, aiohttp.ClientSession)
    if getattr(session, "auth", None) is not None or "Authorization" in session.headers:
        raise ValueError("session must add no Authorization of its own: the client adds the token")


def _client_timeout(timeout: float | aiohttp.ClientTimeout | None) -> aiohttp.ClientTimeout:
    if timeout is None:
        return DEFAULT_TIMEOUT
    if isinstance(timeout, aiohttp.ClientTimeout):
        for limit in ("total", "connect", "sock_connect", "sock_read"):
            if (given := getattr(timeout, limit)) is not None:
                checks.seconds(f"timeout.{limit}", given, zero=True)  # 0 is none, as in aiohttp
        return timeout
    total = checks.seconds("timeout", timeout)
    return aiohttp.ClientTimeout(
        total=total,
        sock_connect=min(total, DEFAULT_TIMEOUT.sock_connect or total),
    )


def _body(request: Request) -> SecretBytes | None:
    if request.json is not None:
        # What it does not know are secrets, which are strings.
        return SecretBytes(msgspec.json.encode(request.json, enc_hook=str.__str__))
    return None if request.form is None else SecretBytes(urlencode(request.form).encode())


def _but_total(timeout: aiohttp.ClientTimeout) -> aiohttp.ClientTimeout:
    """The other limits: aiohttp's own timer for the total loses a cancellation at its moment."""
    return aiohttp.ClientTimeout(
        total=None,
        connect=timeout.connect,
        sock_connect=timeout.sock_connect,
        sock_read=timeout.sock_read,
        ceil_threshold=timeout.ceil_threshold,
    )


def _told(total: float | None, sock_read: float | None) -> str:
    limits = {"in all": total, "between bytes": sock_read}
    told = [f"{limit:g} s {what}" for what, limit in limits.items() if limit is not None]
    return " or ".join(told) or "its timeout"


def _reason(error: Exception) -> str:
    """What happened, in aiohttp's words, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _bare(error: BaseException) -> BaseException:
    """An error without the frames of aiohttp's traceback, whose locals hold the token."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
