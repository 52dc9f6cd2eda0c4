"""A server that sends a response over TLS before any request."""

import ssl
import threading
from contextlib import suppress
from socket import create_server

import aiohttp
import pytest
import trustme

from lcphone_async import ConnectFailedError, LCPhoneClient, RetryPolicy
from lcphone_async._http.transport import _Connector

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n" + b'{"numbers": [], "total": 0}'


def speak_first(connection, context):
    """Sends a response with the end of the handshake, and waits for the client to disconnect."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = context.wrap_bio(coming, going, server_side=True)
    with connection, suppress(OSError):
        while True:
            try:
                stream.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(going.read())
                coming.write(connection.recv(2**16))
        stream.write(ANSWER)
        connection.sendall(going.read())
        connection.recv(2**16)


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def hasty(authority):
    """The URL of a server that speaks first, and the list of its connections."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in TLS 1.3 the client sends the last message
    authority.issue_cert("localhost").configure_cert(context)
    threads = []
    with create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threads.append(threading.Thread(target=speak_first, args=(connection, context)))
                    threads[-1].start()

        serving = threading.Thread(target=serve)
        serving.start()
        yield f"https://localhost:{server.getsockname()[1]}", threads
        server.shutdown(2)
    for thread in [serving, *threads]:
        thread.join()


async def test_a_response_before_the_request(hasty, authority):
    """Is refused, and the client does not reconnect again and again."""
    url, connections = hasty
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    retry = RetryPolicy(max_tries=3, initial_wait=0)
    async with (
        aiohttp.ClientSession(connector=_Connector(ssl=trusting)) as session,
        LCPhoneClient("t", base_url=url, session=session, retry=retry) as client,
    ):
        with pytest.raises(ConnectFailedError, match="before it is asked"):
            await client.active_numbers_page("a")
    assert len(connections) == 3
