"""TLS connections, whose shutdown takes a message from each side."""

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
    """The URL of a server that reads a request and never responds, and a context to trust it."""
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
async def test_an_abandoned_connection(silent):
    """Is closed with the client, even if the server does not confirm the shutdown."""
    url, trusting = silent
    session = aiohttp.ClientSession(connector=_Connector(ssl=trusting))
    retry = RetryPolicy(max_tries=1)
    async with (
        session,
        LCPhoneClient("t", base_url=url, session=session, retry=retry, timeout=0.5) as client,
    ):
        with pytest.raises(RequestTimeoutError):
            await client.number_pools("location")
