"""A hostile server: every response ends in one of our errors, within bounds of memory and time."""

import asyncio
import gzip
import socket
import threading
import tracemalloc
import zlib
from contextlib import ExitStack, asynccontextmanager

import aiohttp
import pytest

from lcphone_async import (
    AnswerTooLargeError,
    APIError,
    ConnectFailedError,
    LCPhoneClient,
    LCPhoneError,
    OAuthTokens,
    PurchaseOutcomeUnknownError,
    RequestTimeoutError,
    ResponseFormatError,
    RetryPolicy,
    TokenUnavailableError,
    TransportError,
)
from lcphone_async._http.body import decoded
from lcphone_async._wire.requests import number_pools
from lcphone_async._wire.responses import Response
from support.raw_server import RawServer, http, http_json
from support.shop import NUMBER, PLACE

TOKEN = "pit-5e884898da28"
AT_ONCE = RetryPolicy(initial_wait=0, confirm_timeout=0.1)
ONE_TRY = RetryPolicy(max_tries=1, confirm_timeout=0.1)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"
EMPTY = b'{"numbers": [], "total": 0}'
LENGTH = b"Content-Length: %d\r\n" % len(EMPTY)
EMPTY_PAGE = OK + LENGTH + b"\r\n" + EMPTY

LIMIT = 10_000
PADDED = EMPTY + b" " * (LIMIT - len(EMPTY))
"""A page of exactly as many bytes as may be."""


def client_of(server, **options):
    return LCPhoneClient(TOKEN, **{"base_url": server.url, "retry": ONE_TRY, **options})


def in_chunks(body):
    chunks = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def packed(body, wbits):
    stream = zlib.compressobj(wbits=wbits)
    return stream.compress(body) + stream.flush()


def with_encoding(encoding, body):
    return http(body, headers={"Content-Encoding": encoding})


def again_and_again(first, piece):
    """A response that begins with `first` and never ends."""

    async def pieces(_):
        yield first
        while True:
            yield piece
            await asyncio.sleep(0)

    return pieces


def then_silence(first):
    """A response that stops after `first`, with the connection open."""

    async def pieces(_):
        yield first
        await asyncio.Event().wait()

    return pieces


def byte_by_byte(first, rest):
    """A response whose `rest` is sent too slowly to be complete in time."""

    async def pieces(_):
        yield first
        for byte in rest:
            yield bytes([byte])
            await asyncio.sleep(0.03)

    return pieces


# Endless bodies


def responses_of(body):
    return {
        "with its length": http(body),
        "in chunks": CHUNKED + b"\r\n" + in_chunks(body),
        "until the connection ends": OK + b"\r\n" + body,
        "gzip": with_encoding("gzip", gzip.compress(body)),
        "gzip, in chunks": (
            CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + in_chunks(gzip.compress(body))
        ),
        "deflate": with_encoding("deflate", zlib.compress(body)),
    }


@pytest.mark.parametrize("response", responses_of(PADDED).values(), ids=responses_of(b""))
async def test_a_body_of_the_maximum_size(raw_server, response):
    """Reads a body of exactly `max_body_size` bytes in every encoding."""
    raw_server.reply(response)
    async with client_of(raw_server, max_body_size=LIMIT) as client:
        assert (await client.active_numbers_page("a")).total == 0


TOO_LARGE = {
    **responses_of(PADDED + b" "),
    "an announced length": then_silence(OK + b"Content-Length: 10001\r\n\r\n"),
    "the largest length": then_silence(OK + b"Content-Length: %d\r\n\r\n" % (2**63 - 1)),
    "without an end": again_and_again(OK + b"\r\n", b" " * 65536),
    "chunks without an end": again_and_again(CHUNKED + b"\r\n", b"1\r\na\r\n" * 1000),
    "an error page": http(b" " * 10_001, 503),
}


@pytest.mark.parametrize("response", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_body_that_is_too_large(response):
    """Raises `AnswerTooLargeError` with a hint, and does not retry."""
    async with RawServer(keeps_alive=True) as server:
        server.reply(response, EMPTY_PAGE)
        async with client_of(server, max_body_size=LIMIT, retry=AT_ONCE) as client:
            with pytest.raises(
                AnswerTooLargeError,
                match=r"^GET /phone-system/\S+: .* 10000 bytes .*page_size.*max_body_size",
            ):
                await client.active_numbers_page("a")
            assert len(server.requests) == 1
            assert (await client.active_numbers_page("a")).total == 0


async def test_a_large_body_does_not_block_the_loop():
    """Decodes a body of a megabyte in a thread, while the event loop runs on."""
    going_on = threading.Event()

    def read(request, response):
        return going_on.wait(timeout=10)

    request = number_pools("location")
    reading = asyncio.create_task(decoded(read, request, Response(200, {}, bytes(2**20))))
    await asyncio.sleep(0)
    going_on.set()
    assert await reading


async def test_a_page_of_too_many_numbers(raw_server):
    """Returns all the numbers sent, a hundred times the size of a page."""
    rows = b",".join(
        b'{"phoneNumber": "+1830%07d", "friendlyName": ""}' % i for i in range(100_000)
    )
    raw_server.reply(http(b'{"numbers": [%b], "total": 100000}' % rows))
    async with client_of(raw_server) as client:
        page = await client.active_numbers_page("a")
    assert len({number.phone_number for number in page.numbers}) == 100_000


async def test_the_rest_of_a_body_that_is_too_large():
    """Is not read or taken for the next response: the connection is not reused."""
    async with RawServer(keeps_alive=True) as server:
        server.reply(TOO_LARGE["chunks without an end"], EMPTY_PAGE)
        async with client_of(server, max_body_size=LIMIT) as client:
            with pytest.raises(AnswerTooLargeError):
                await client.active_numbers_page("a")
            await client.active_numbers_page("a")
            await client.active_numbers_page("a")
        assert server.connections == 2


@pytest.mark.parametrize(
    "unasked",
    [
        http_json({"numbers": [{"phoneNumber": NUMBER}], "total": 1}),
        http(b"", 408),
        b"HTTP/1.1 200 OK\r\nContent-Length: 54\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + EMPTY_PAGE,
        b"\0\0\0nonsense\r\n\r\n",
    ],
    ids=["a page", "a time-out", "a head", "a hint and a page", "no HTTP"],
)
async def test_an_unsolicited_response(unasked):
    """Is not taken for the response to the next call: the connection is not reused."""

    async def twice(_):
        yield kept_page("+18305550001")
        await asyncio.sleep(0.02)
        yield unasked

    async with RawServer(keeps_alive=True) as server:
        server.reply(twice, kept_page("+18305550002"), kept_page("+18305550003"))
        async with client_of(server) as client:
            seen = []
            for _ in range(3):
                seen += (await client.active_numbers_page("a")).numbers
                await asyncio.sleep(0.05)
        assert [number.phone_number[-1] for number in seen] == ["1", "2", "3"]
        assert server.connections == 2


def kept_page(number):
    """A page of one number, on a connection that stays open."""
    page = {"numbers": [{"phoneNumber": number}], "total": 1}
    return http_json(page, headers={"Connection": "keep-alive"})


async def peak_memory_of_a_large_body(server, limit):
    """The peak of memory, in bytes, before a response is abandoned."""
    async with client_of(server, max_body_size=limit) as client:
        tracemalloc.start()
        try:
            with pytest.raises(AnswerTooLargeError):
                await client.active_numbers_page("a")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("wbits", [31, 15])
async def test_a_small_body_that_unpacks_to_a_large_one(raw_server, wbits):
    """Unpacks no more of a body than the limit."""
    bomb = packed(bytes(2**26), wbits)
    raw_server.reply(with_encoding("gzip", bomb))
    assert await peak_memory_of_a_large_body(raw_server, 2**20) < 2**23


async def test_many_small_pieces(raw_server):
    """Uses no more memory for a body in tiny chunks than for another."""
    raw_server.reply(again_and_again(CHUNKED + b"\r\n", b"1\r\na\r\n" * 1000))
    assert await peak_memory_of_a_large_body(raw_server, 2**14) < 2**23


BOUGHT = http_json({"numbers": [{"phoneNumber": NUMBER}], "total": 1})
NOT_LISTED = http_json({"numbers": [], "total": 0})


@pytest.mark.parametrize("status", [201, 400])
@pytest.mark.parametrize("acted", [True, False])
async def test_a_purchase_whose_response_is_too_large(raw_server, acted, status):
    """Is read back like any other purchase in doubt, and never repeated."""
    raw_server.reply(http(b" " * 10_001, status))
    raw_server.look_up_reply = lambda _: BOUGHT if acted and raw_server.requests else NOT_LISTED
    async with client_of(raw_server, max_body_size=LIMIT, retry=AT_ONCE) as client:
        if acted:
            assert (await client.purchase(PLACE, NUMBER)).confirmed_by == "read-back"
        else:
            with pytest.raises(PurchaseOutcomeUnknownError, match="more than 10000 bytes"):
                await client.purchase(PLACE, NUMBER)
    assert [request.method for request in raw_server.requests] == ["POST"]


async def test_a_token_response_that_is_too_large(raw_server):
    """The limit applies to the token endpoint, too."""
    raw_server.reply(http(b" " * 10_001))
    app = OAuthTokens(client_id="a", client_secret="app-secret", refresh_token="refresh-me-once")
    async with LCPhoneClient(app, base_url=raw_server.url, max_body_size=LIMIT) as client:
        with pytest.raises(TokenUnavailableError, match=r"/oauth/token: .* 10000 bytes"):
            await client.active_numbers_page("a")
    assert len(raw_server.requests) == 1


# Encodings


async def test_accept_encoding(raw_server):
    """Requests only gzip, whatever libraries are installed and whatever the session adds."""
    raw_server.reply(EMPTY_PAGE)
    session = aiohttp.ClientSession(headers={"Accept-Encoding": "br, zstd"})
    async with session, client_of(raw_server, session=session) as client:
        await client.active_numbers_page("a")
    assert raw_server.request.headers["accept-encoding"] == "gzip"


async def test_a_session_without_decompression(raw_server):
    """Unpacks a body itself, even if the session's owner turned that off."""
    raw_server.reply(with_encoding("x-gzip", gzip.compress(EMPTY)))
    session = aiohttp.ClientSession(auto_decompress=False)
    async with session, client_of(raw_server, session=session) as client:
        assert (await client.active_numbers_page("a")).total == 0


UNREADABLE = {
    "brotli": with_encoding("br", b"\x0b\x0d\x80" + EMPTY + b"\x03"),
    "zstd": with_encoding("zstd", b"\x28\xb5\x2f\xfd\x04\x00" + EMPTY),
    "unknown": with_encoding("pit-5e884898da28", EMPTY),
    "twice": with_encoding("gzip, gzip", gzip.compress(gzip.compress(EMPTY))),
    "in two headers": (
        OK + b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n" + LENGTH + b"\r\n" + EMPTY
    ),
    "not gzip": with_encoding("gzip", EMPTY),
    "cut off": with_encoding("gzip", gzip.compress(EMPTY)[:-9]),
    "a wrong checksum": with_encoding("gzip", gzip.compress(EMPTY)[:-8] + bytes(8)),
    "two in one": with_encoding("gzip", gzip.compress(EMPTY[:9]) + gzip.compress(EMPTY[9:])),
    "many empty ones": with_encoding("gzip", gzip.compress(b"") * 10_000),
    "more behind it": with_encoding("gzip", gzip.compress(EMPTY) + b"smuggled"),
    "without a head": with_encoding("deflate", packed(EMPTY, -15)),
}


@pytest.mark.parametrize("response", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_unsupported_encoding(raw_server, response):
    """Raises `TransportError` for an encoding that was not requested or does not match the body."""
    raw_server.reply(response)
    async with client_of(raw_server) as client:
        with pytest.raises(TransportError, match="encoding that cannot be read") as caught:
            await client.active_numbers_page("a")
    assert TOKEN not in str(caught.value)


async def test_gzip_within_gzip(raw_server):
    """Unpacks a body once; the content is then not JSON."""
    raw_server.reply(with_encoding("gzip", gzip.compress(gzip.compress(EMPTY))))
    async with client_of(raw_server) as client:
        with pytest.raises(ResponseFormatError):
            await client.active_numbers_page("a")


# Response heads

INVALID_HTTP = {
    "a header of 10 MB": OK + b"X: " + b"a" * 10_000_000 + b"\r\n" + LENGTH + b"\r\n" + EMPTY,
    "100,000 headers": OK + b"X: a\r\n" * 100_000 + LENGTH + b"\r\n" + EMPTY,
    "a reason of 10 MB": b"HTTP/1.1 200 " + b"O" * 10_000_000 + b"\r\n\r\n" + EMPTY,
    "100,000 trailers": (
        CHUNKED + b"\r\n1b\r\n" + EMPTY + b"\r\n0\r\n" + b"X: a\r\n" * 100_000 + b"\r\n"
    ),
    "two lengths": OK + LENGTH + b"Content-Length: 5\r\n\r\n" + EMPTY,
    "the length twice": OK + LENGTH * 2 + b"\r\n" + EMPTY,
    "a list of lengths": OK + b"Content-Length: 27, 27\r\n\r\n" + EMPTY,
    "a negative length": OK + b"Content-Length: -27\r\n\r\n" + EMPTY,
    "a length beyond 64 bits": OK + b"Content-Length: %d\r\n\r\n" % 2**64 + EMPTY,
    "a length and chunks": CHUNKED + LENGTH + b"\r\n1b\r\n" + EMPTY + b"\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"\r\n1000000000000001b\r\n" + EMPTY + b"\r\n0\r\n\r\n",
    "a chunk of all there is": CHUNKED + b"\r\nffffffffffffffff\r\n" + EMPTY,
    "a negative chunk": CHUNKED + b"\r\n-1b\r\n" + EMPTY + b"\r\n0\r\n\r\n",
    "NUL in a header": OK + b"X: a\0b\r\n" + LENGTH + b"\r\n" + EMPTY,
    "CR in a header": OK + b"X: a\rY: b\r\n" + LENGTH + b"\r\n" + EMPTY,
    "a space before the colon": OK + b"X : a\r\n" + LENGTH + b"\r\n" + EMPTY,
    "a header without a colon": OK + b"X\r\n" + LENGTH + b"\r\n" + EMPTY,
    "a header without a name": OK + b": a\r\n" + LENGTH + b"\r\n" + EMPTY,
    "a line before it": b"garbage\r\n" + EMPTY_PAGE,
    "HTTP/0.9": EMPTY,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "a version that there is not": b"HTTP/9.9 200 OK\r\n" + LENGTH + b"\r\n" + EMPTY,
    "a status of two digits": b"HTTP/1.1 99 OK\r\n" + LENGTH + b"\r\n" + EMPTY,
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n" + LENGTH + b"\r\n" + EMPTY,
    "headers without an end": again_and_again(OK, b"X: a\r\n" * 3000),
    "a header without an end": again_and_again(OK + b"X: ", b"a" * 65536),
    "a reason without an end": again_and_again(b"HTTP/1.1 200 ", b"a" * 65536),
    "trailers without an end": again_and_again(
        CHUNKED + b"\r\n1b\r\n" + EMPTY + b"\r\n0\r\n", b"X: a\r\n" * 3000
    ),
}


@pytest.mark.parametrize("response", INVALID_HTTP.values(), ids=INVALID_HTTP)
async def test_invalid_http(raw_server, response):
    """Raises `TransportError`, which names the call and shows nothing of the response."""
    raw_server.reply(response)
    async with client_of(raw_server, timeout=20) as client:
        tracemalloc.start()
        try:
            with pytest.raises(
                TransportError, match=r"^GET /phone-system/numbers/location/a: "
            ) as caught:
                await client.active_numbers_page("a")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert type(caught.value) is TransportError
    assert len(str(caught.value)) < 300
    assert TOKEN not in str(caught.value)
    assert len(raw_server.requests) == 1
    assert peak < 2**24


READABLE = {
    "120 headers": OK + b"X: a\r\n" * 120 + LENGTH + b"\r\n" + EMPTY,
    "control characters": OK + b"X: \x01\x1b[2J\x7f\xff\r\n" + LENGTH + b"\r\n" + EMPTY,
    "other answers before it": b"HTTP/1.1 103 Early Hints\r\nX: a\r\n\r\n" * 50 + EMPTY_PAGE,
    "another answer behind it": EMPTY_PAGE + OK + b"Content-Length: 4\r\n\r\nevil",
}


@pytest.mark.parametrize("response", READABLE.values(), ids=READABLE)
async def test_odd_but_valid_http(response):
    """Reads a response with an odd head, and takes no bytes after it for the next one."""
    async with RawServer(keeps_alive=True) as server:
        server.reply(response, EMPTY_PAGE)
        async with client_of(server) as client:
            for _ in range(2):
                assert (await client.active_numbers_page("a")).total == 0


# Redirects, cookies and proxies


@asynccontextmanager
async def elsewhere():
    """A second server, which must not receive the token."""
    async with RawServer() as server:
        server.reply(EMPTY_PAGE)
        yield server
        assert server.requests == []


@pytest.mark.parametrize("own_session", [True, False])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects(raw_server, status, own_session):
    """Follows no redirect, to the same host or another: the token goes nowhere else."""
    async with (
        elsewhere() as other,
        aiohttp.ClientSession(cookies={"a": "b"}) as session,
        client_of(raw_server, session=None if own_session else session) as client,
    ):
        places = [f"{other.url}/x", other.url.removeprefix("http:"), "/x", "?x", "\x01", None]
        responses = [http(b"", status, {"Location": place} if place else {}) for place in places]
        raw_server.reply(*responses)
        for _ in places:
            with pytest.raises(APIError, match=f"{status}: .*redirects are not followed") as caught:
                await client.number_pools("a")
            assert TOKEN not in str(caught.value)
    assert [request.path for request in raw_server.requests] == [
        "/phone-system/number-pools"
    ] * len(places)


async def test_a_redirected_purchase(raw_server):
    """Is read back, as its outcome is unclear, and sent nowhere else."""
    async with elsewhere() as other, client_of(raw_server) as client:
        raw_server.reply(http(b"", 307, {"Location": other.url}))
        with pytest.raises(PurchaseOutcomeUnknownError, match="307"):
            await client.purchase(PLACE, NUMBER)
    assert [request.method for request in raw_server.requests] == ["POST"]


async def test_a_redirected_refresh(raw_server):
    """Sends the refresh token and the client secret nowhere else."""
    async with elsewhere() as other:
        raw_server.reply(http(b"", 307, {"Location": f"{other.url}/oauth/token"}))
        app = OAuthTokens(client_id="a", client_secret="app-secret", refresh_token="refresh-me")
        async with LCPhoneClient(app, base_url=raw_server.url, retry=ONE_TRY) as client:
            with pytest.raises(TokenUnavailableError, match="307"):
                await client.number_pools("a")


async def test_cookies_are_not_kept():
    """Keeps no cookies of the service, so neither memory nor requests grow."""
    async with RawServer(keeps_alive=True) as server:
        server.reply(
            lambda _: (
                OK
                + b"Set-Cookie: a%d=b; Domain=localhost\r\n" % len(server.requests)
                + LENGTH
                + b"\r\n"
                + EMPTY
            )
        )
        url = server.url.replace(
            "127.0.0.1", "localhost"
        )  # a cookie jar refuses cookies of an IP address
        async with client_of(server, base_url=url) as client:
            for _ in range(3):
                await client.active_numbers_page("a")
        assert all("cookie" not in request.headers for request in server.requests)
        assert len({len(request.head) for request in server.requests}) == 1


async def test_a_session_s_own_cookies_stay(raw_server):
    """Leaves the cookies of a caller's session alone."""
    raw_server.reply(EMPTY_PAGE)
    session = aiohttp.ClientSession(cookies={"a": "b"})
    async with session, client_of(raw_server, session=session) as client:
        await client.active_numbers_page("a")
    assert raw_server.request.headers["cookie"] == "a=b"


@pytest.mark.parametrize("trust_env", [True, False, None])
async def test_proxies_of_the_environment(raw_server, monkeypatch, trust_env):
    """Uses the environment's proxy only if the session's owner enabled it."""
    raw_server.reply(EMPTY_PAGE)
    monkeypatch.setenv("http_proxy", raw_server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    base_url = "http://service.invalid"
    session = None if trust_env is None else aiohttp.ClientSession(trust_env=trust_env)
    client = client_of(raw_server, base_url=base_url, session=session, allow_http=True)
    async with client:
        if trust_env:
            await client.active_numbers_page("a")
        else:
            with pytest.raises(LCPhoneError, match=r"cannot connect to service\.invalid"):
                await client.active_numbers_page("a")
    assert len(raw_server.requests) == bool(trust_env)
    if session is not None:
        await session.close()


# Time

SLOW = {
    "sends nothing": then_silence(b""),
    "stops in its head": then_silence(EMPTY_PAGE[:30]),
    "stops in its body": then_silence(EMPTY_PAGE[:-5]),
    "stops in a chunk": then_silence(CHUNKED + b"\r\n1b\r\n" + EMPTY[:9]),
    "sends its head byte by byte": byte_by_byte(b"", EMPTY_PAGE),
    "sends its body byte by byte": byte_by_byte(OK + LENGTH + b"\r\n", EMPTY),
    "sends its chunks byte by byte": byte_by_byte(CHUNKED + b"\r\n", in_chunks(EMPTY)),
    "sends 102 for ever": again_and_again(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000),
    "sends empty lines": again_and_again(b"", b"\r\n" * 1000),
    "sends an endless chunk extension": again_and_again(CHUNKED + b"\r\n1b;", b"a" * 65536),
    "sends endless empty gzip blocks": again_and_again(
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(EMPTY)[:10],
        b"\x00\x00\x00\xff\xff" * 10_000,
    ),
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("response", SLOW.values(), ids=SLOW)
async def test_slow_servers(raw_server, response):
    """Raises `RequestTimeoutError` after the timeout, whatever was received."""
    raw_server.reply(response)
    async with client_of(raw_server, timeout=0.3) as client:
        with pytest.raises(RequestTimeoutError, match=r"no response within 0\.3 s in all"):
            await client.active_numbers_page("a")


@pytest.mark.sample(1)
@pytest.mark.parametrize("late", [0, 30, len(EMPTY_PAGE) - 5])
async def test_a_late_response(late):
    """Is not taken for the response to the next call."""
    evil = http_json({"numbers": [], "total": 666})

    async with RawServer(keeps_alive=True) as server:

        async def after_the_timeout(_):
            yield evil[:late]
            async with asyncio.timeout(5):
                while len(server.requests) < 2:
                    await asyncio.sleep(0.001)
            yield evil[late:]

        async def a_little_later(_):
            await asyncio.sleep(0.05)
            yield EMPTY_PAGE

        server.reply(after_the_timeout, a_little_later)
        async with client_of(server, timeout=0.5, retry=AT_ONCE) as client:
            assert (await client.active_numbers_page("a")).total == 0
        assert server.connections > 1


async def test_a_handshake_without_an_end():
    """Raises `ConnectFailedError` if a server accepts the connection but does not answer in TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        timeout = aiohttp.ClientTimeout(total=5, sock_connect=0.2)
        options = {"base_url": f"https://127.0.0.1:{server.getsockname()[1]}", "timeout": timeout}
        async with LCPhoneClient(TOKEN, retry=ONE_TRY, **options) as client:
            with pytest.raises(ConnectFailedError, match="no connection in time"):
                await client.active_numbers_page("a")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b"\x16"  # a handshake, not the request


async def test_a_connection_that_is_not_accepted():
    """Raises `ConnectFailedError` if a server's backlog is full; nothing was bought."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        host, port = server.getsockname()
        for _ in range(3):  # until the kernel accepts no more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        timeout = aiohttp.ClientTimeout(total=5, sock_connect=0.2)
        base_url = f"http://{host}:{port}"
        async with LCPhoneClient(
            TOKEN, base_url=base_url, timeout=timeout, retry=ONE_TRY
        ) as client:
            with pytest.raises(ConnectFailedError, match="no connection in time"):
                await client.purchase(PLACE, NUMBER)


async def test_a_call_within_the_caller_s_timeout(raw_server):
    """Ends with the caller's own deadline, however many attempts are left."""
    deadline = asyncio.timeout(None)

    def third_time_over(_):
        if len(raw_server.requests) == 3:
            deadline.reschedule(asyncio.get_running_loop().time())
        return http(status=503)

    raw_server.reply(third_time_over)
    retry = RetryPolicy(max_tries=1000, initial_wait=0)
    async with client_of(raw_server, retry=retry) as client:
        with pytest.raises(TimeoutError):
            async with deadline:
                await client.active_numbers_page("a")


async def test_a_purchase_within_the_caller_s_timeout(raw_server):
    """Ends with the caller's own deadline, and is left to `reconcile`."""
    deadline = asyncio.timeout(None)

    async def over(_):
        deadline.reschedule(asyncio.get_running_loop().time())
        yield b""
        await asyncio.Event().wait()

    raw_server.reply(over)
    async with client_of(raw_server) as client:
        with pytest.raises(TimeoutError):
            async with deadline:
                await client.purchase(PLACE, NUMBER)
        assert [record.state for record in await client.reconcile()] == ["unknown"]
    assert [request.method for request in raw_server.requests] == ["POST"]
