"""One attempt over aiohttp: a request and a token in, a whole answer or an error out."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from ._version import __version__
from ._wire.answers import Answer
from ._wire.requests import API_VERSIONS, Request
from .errors import ClientClosedError, ConnectFailedError, RequestTimeoutError, TransportError

DEFAULT_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10, sock_read=30)

# Cloudflare, before the service, turns away Python's default one (its error 1010).
_USER_AGENT = f"lcphone_async/{__version__}"


class Transport:
    """Sends requests over one session: its own, which it closes, or the caller's."""

    def __init__(
        self,
        base_url: str,
        api_version: str,
        session: aiohttp.ClientSession | None,
        timeout: float | aiohttp.ClientTimeout | None,
    ) -> None:
        if api_version not in API_VERSIONS:
            raise ValueError(f"api_version must be one of {API_VERSIONS}, not {api_version!r}")
        self._base_url = _checked_base_url(base_url)
        self._headers = {
            "Accept": "application/json",
            "User-Agent": _USER_AGENT,
            "Version": api_version,
        }
        self._session = session
        # Those of the call replace those of the session, which aiohttp does not show.
        self._middlewares = getattr(session, "_middlewares", ())
        self._timeout = _client_timeout(timeout)
        self._owns_session = session is None

    @property
    def is_open(self) -> bool:
        """Whether it has a session of its own that is not closed yet."""
        return self._owns_session and self._session is not None and not self._session.closed

    @property
    def max_connections(self) -> int | None:
        """How many connections the session may have at once; `None` for any number."""
        if self._session is None or self._session.connector is None:
            return 100  # aiohttp's default, of the session that is to come
        return self._session.connector.limit or None

    async def send(self, request: Request, token: str) -> Answer:
        """The service's answer, read whole, whatever its status.

        Raises `ConnectFailedError`, `RequestTimeoutError` or `TransportError`.
        """
        try:
            return await self._send(request, token)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise ConnectFailedError(request.method, request.path, _reason(error)) from error
        except TimeoutError as error:
            reason = f"no answer within {_seconds(self._timeout)}"
            raise RequestTimeoutError(request.method, request.path, reason) from error
        except aiohttp.ClientResponseError:
            reason = "the answer is not HTTP"
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(request.method, request.path, _reason(error)) from error
        # A ClientResponseError holds the request's headers, with the token, and raw bytes.
        raise TransportError(request.method, request.path, reason)

    async def _send(self, request: Request, token: str) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        if self._session.closed:
            raise ClientClosedError(request.method, request.path, "the session is closed")
        target = f"{self._base_url}{request.path}"
        if request.query:
            target += f"?{request.query}"
        headers = {**self._headers, "Authorization": f"Bearer {token}"}
        body = None
        if request.json is not None:
            headers["Content-Type"] = "application/json"
            body = msgspec.json.encode(request.json)
        async with self._session.request(
            request.method,
            URL(target, encoded=True),
            data=body,
            headers=headers,
            timeout=self._timeout,
            allow_redirects=False,
            raise_for_status=False,
            middlewares=(*self._middlewares, _send_once),
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def close(self) -> None:
        """Closes the session, if it is our own."""
        if self._owns_session and self._session is not None:
            await self._session.close()


class _NoAnswerError(aiohttp.ClientConnectionError):
    """The connection ended before the answer; unlike aiohttp's own, not sent again by aiohttp."""


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A middleware: aiohttp would send a GET again, in one slot, when its connection breaks."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _NoAnswerError(_reason(error)) from error


def _checked_base_url(base_url: str) -> str:
    if not isinstance(base_url, str):
        raise TypeError(f"base_url must be a string, not {type(base_url).__name__}")
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("base_url must be an http:// or https:// URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("base_url must have no credentials, query or fragment")
    return base_url.rstrip("/")


def _client_timeout(timeout: float | aiohttp.ClientTimeout | None) -> aiohttp.ClientTimeout:
    if timeout is None:
        return DEFAULT_TIMEOUT
    if isinstance(timeout, aiohttp.ClientTimeout):
        return timeout
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError("timeout must be seconds or an aiohttp.ClientTimeout")
    if not 0 < timeout < float("inf"):
        raise ValueError(f"timeout must be a positive number of seconds, not {timeout}")
    return aiohttp.ClientTimeout(total=timeout)


def _seconds(timeout: aiohttp.ClientTimeout) -> str:
    limits = {"in all": timeout.total, "between bytes": timeout.sock_read}
    told = [f"{limit:g} s {what}" for what, limit in limits.items() if limit is not None]
    return " or ".join(told) or "its timeout"


def _reason(error: Exception) -> str:
    """What happened, in aiohttp's words."""
    return str(error) or type(error).__name__
