"""Connections over TLS, whose end takes two messages."""

import ssl
import threading
from contextlib import suppress
from socket import create_server

import aiohttp
import pytest
import trustme

from lcphone_async import LCPhoneClient, RequestTimeoutError, RetryPolicy
from lcphone_async._http.transport import _Connector


@pytest.fixture
def silent():
    """The URL of a server that takes a request and says nothing more, and a context to trust it."""
    authority, over = trustme.CA(), threading.Event()
    serving, trusting = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("localhost").configure_cert(serving)
    authority.configure_trust(trusting)
    with create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(OSError), serving.wrap_socket(server.accept()[0], server_side=True):
                over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://localhost:{server.getsockname()[1]}", trusting
        over.set()
        thread.join()


@pytest.mark.exhaustive
async def test_a_connection_that_was_given_up(silent):
    """Is gone once the client is closed, though the server does not agree to its end."""
    url, trusting = silent
    session = aiohttp.ClientSession(connector=_Connector(ssl=trusting))
    retry = RetryPolicy(max_tries=1)
    async with (
        session,
        LCPhoneClient("t", base_url=url, session=session, retry=retry, timeout=0.5) as client,
    ):
        with pytest.raises(RequestTimeoutError):
            await client.number_pools("location")
