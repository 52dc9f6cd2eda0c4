"""The boundary to aiohttp: the requests that it gets, and our errors for its failures."""

import asyncio
import logging
import os
import re
import zlib

import aiohttp
import pytest

from lcphone_async import (
    APIError,
    ClientClosedError,
    ConnectFailedError,
    LCPhoneClient,
    RateLimiter,
    RequestTimeoutError,
    RetryPolicy,
    TransportError,
)
from support.paged_server import PagedServer
from support.raw_server import http, http_json
from support.until import until

ONE_TRY = RetryPolicy(max_tries=1, confirm_timeout=0)
EMPTY = http_json({"numbers": [], "total": 0})


async def test_a_base_url_may_have_a_path(raw_server):
    """Appends the API's paths to the base URL's own, with or without a trailing slash."""
    raw_server.reply(EMPTY)
    async with LCPhoneClient("t", base_url=f"{raw_server.url}/proxy/", retry=ONE_TRY) as client:
        await client.active_numbers_page("a")
    assert raw_server.requests[0].target.startswith("/proxy/phone-system/numbers/location/a?")


async def test_no_connection():
    """Raises `ConnectFailedError`, which names the call, if the port is closed."""
    async with LCPhoneClient("t", base_url="http://127.0.0.1:1", retry=ONE_TRY) as client:
        with pytest.raises(ConnectFailedError, match=r"GET /phone-system/number-pools: .*connect"):
            await client.number_pools("a")


async def test_no_such_host():
    """Raises `ConnectFailedError` for an unknown host name."""
    async with LCPhoneClient("t", base_url="https://nowhere.invalid", retry=ONE_TRY) as client:
        with pytest.raises(ConnectFailedError, match=r"nowhere\.invalid"):
            await client.number_pools("a")


@pytest.mark.parametrize("answered", [0.0, 0.5])
@pytest.mark.parametrize("limit", [0.05, aiohttp.ClientTimeout(sock_read=0.05)])
async def test_a_missing_response(limit, answered):
    """Raises `RequestTimeoutError` if the response or the rest of it does not arrive in time."""
    async with PagedServer().running() as server:
        server.held[0] = answered
        options = {"base_url": server.url, "timeout": limit, "retry": ONE_TRY}
        async with LCPhoneClient("t", **options) as client:
            with pytest.raises(RequestTimeoutError, match=r"no response within 0.05 s"):
                await client.active_numbers_page("a")


async def test_a_timeout_is_retried():
    """Retries after a timeout; the caller sees only the result."""
    async with PagedServer().running() as server:
        server.held[0] = 0.0
        retry = RetryPolicy(initial_wait=0)
        async with LCPhoneClient("t", base_url=server.url, timeout=0.1, retry=retry) as client:
            page = asyncio.create_task(client.active_numbers_page("a"))
            await until(lambda: server.asked == [0])
            server.held.clear()
            assert (await page).total == server.total


async def test_redirects_are_not_followed(raw_server):
    """Raises `APIError` for a redirect, and sends the token nowhere else."""
    raw_server.reply(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")
    async with LCPhoneClient("t", base_url=raw_server.url, retry=ONE_TRY) as client:
        with pytest.raises(APIError, match=r"302: .*redirects are not followed"):
            await client.number_pools("a")
    assert len(raw_server.requests) == 1


async def test_a_compressed_body_that_is_broken_after_a_megabyte(raw_server):
    """Raises `TransportError`; aiohttp 3.14.0 to 3.14.3 crashed the process."""
    zipping = zlib.compressobj(wbits=31)
    broken = zipping.compress(bytes(1 << 20)) + zipping.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 200
    raw_server.reply(http(broken, headers={"Content-Encoding": "gzip"}))
    async with LCPhoneClient("t", base_url=raw_server.url, retry=ONE_TRY) as client:
        with pytest.raises(TransportError):
            await client.number_pools("a")


async def test_a_closed_session(raw_server):
    """Raises `ClientClosedError` if the caller's session is closed."""
    async with aiohttp.ClientSession() as session:
        client = LCPhoneClient("t", base_url=raw_server.url, session=session)
    with pytest.raises(ClientClosedError, match="the session is closed"):
        await client.number_pools("a")


async def test_a_session_s_own_middlewares_and_headers_stay(raw_server):
    """Sends through the caller's session with its middlewares and headers."""
    raw_server.reply(EMPTY)

    async def tracing(request, handler):
        request.headers["X-Trace"] = "7"
        return await handler(request)

    session = aiohttp.ClientSession(middlewares=[tracing], headers={"X-Team": "phones"})
    async with session, LCPhoneClient("t", base_url=raw_server.url, session=session) as client:
        await client.active_numbers_page("a")
    assert raw_server.requests[0].headers["x-trace"] == "7"
    assert raw_server.requests[0].headers["x-team"] == "phones"


async def test_prefetch_is_bounded_by_the_connections():
    """Prefetches no more pages than the session may have connections."""
    async with PagedServer(3000).running() as server:
        server.delay = {0: 0.05}  # so slow that all pages are worth a prefetch
        server.held = dict.fromkeys(range(1, 30), 0.0)
        connector = aiohttp.TCPConnector(limit=7)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            LCPhoneClient("t", base_url=server.url, session=session) as client,
        ):
            numbers = client.active_numbers("a", page_size=100)
            await anext(numbers)
            await until(lambda: server.busy == 7)
            await numbers.aclose()


async def test_prefetch_is_bounded_by_the_budget():
    """Prefetches no more pages than the limiter grants."""
    async with PagedServer(3000).running() as server:
        server.delay = {0: 0.05}  # so slow that all pages are worth a prefetch
        server.held = dict.fromkeys(range(1, 30), 0.0)
        limiter = RateLimiter(5, 60)
        async with LCPhoneClient("t", base_url=server.url, limiter=limiter) as client:
            numbers = client.active_numbers("a", page_size=100)
            await anext(numbers)
            await until(lambda: server.busy == 4)  # the first page's slot is still taken
            await numbers.aclose()


async def test_attempts_are_logged_without_ids_and_secrets(raw_server, caplog):
    """Logs each attempt at debug level: method, path without ids, status, seconds, attempt."""
    raw_server.reply(http_json({"message": "oops"}, 503), EMPTY)
    caplog.set_level(logging.DEBUG, "lcphone_async")
    retry = RetryPolicy(initial_wait=0)
    async with LCPhoneClient("pit-secret", base_url=raw_server.url, retry=retry) as client:
        await client.active_numbers_page("location-7", search_filter="+1830")
    logged = [re.sub(r"\d\.\d{3}", "N", record.message) for record in caplog.records]
    route = "GET /phone-system/numbers/location/{locationId}"
    assert logged == [f"{route}: 503 in N s, try 1", f"{route}: 200 in N s, try 2"]


async def test_nothing_is_logged_above_debug_level(raw_server, caplog):
    """Logs nothing above debug level, not even a failure, which is raised."""
    raw_server.reply(b"")
    caplog.set_level(logging.INFO)
    async with LCPhoneClient("t", base_url=raw_server.url, retry=ONE_TRY) as client:
        with pytest.raises(TransportError):
            await client.number_pools("a")
    assert caplog.records == []


async def test_from_env(raw_server, monkeypatch):
    """Reads token, base URL and contract from the environment; options take precedence."""
    raw_server.reply(EMPTY)
    monkeypatch.setenv("LCPHONE_TOKEN", "from-env")
    monkeypatch.setenv("LCPHONE_BASE_URL", raw_server.url)
    monkeypatch.setenv("LCPHONE_API_VERSION", "2021-07-28")
    async with LCPhoneClient.from_env(token="given", retry=ONE_TRY) as client:
        await client.active_numbers_page("a")
    assert raw_server.requests[0].headers["authorization"] == "Bearer given"
    assert raw_server.requests[0].headers["version"] == "2021-07-28"


def test_from_env_without_a_token(monkeypatch):
    """Raises `ValueError`, which names the variable."""
    monkeypatch.delenv("LCPHONE_TOKEN", raising=False)
    assert "LCPHONE_TOKEN" not in os.environ
    with pytest.raises(ValueError, match="LCPHONE_TOKEN is not set"):
        LCPhoneClient.from_env()


@pytest.mark.parametrize("wrong", [TimeoutError("vault"), RuntimeError("vault")])
async def test_a_token_source_s_own_error_is_raised(raw_server, wrong):
    """Raises the token source's error, and sends nothing."""

    class Broken:
        async def token(self, location_id):
            raise wrong

    async with LCPhoneClient(Broken(), base_url=raw_server.url) as client:
        with pytest.raises(type(wrong), match="vault"):
            await client.number_pools("a")
    assert raw_server.requests == []


async def test_a_token_source_is_called_for_each_location(raw_server):
    """Sends the source's token for the call's location."""
    raw_server.reply(EMPTY, EMPTY)

    class PerLocation:
        async def token(self, location_id):
            return f"token-of-{location_id}"

    async with LCPhoneClient(PerLocation(), base_url=raw_server.url) as client:
        await client.active_numbers_page("a")
        await client.active_numbers_page("b")
    sent = [request.headers["authorization"] for request in raw_server.requests]
    assert sent == ["Bearer token-of-a", "Bearer token-of-b"]
