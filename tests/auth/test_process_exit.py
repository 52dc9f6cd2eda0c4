"""A program that ends in the middle of a refresh keeps as much as it can."""

import json
import signal
import subprocess
import sys
import time

import pytest

from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox

BEGINNING = """
import asyncio, signal, sys
from lcphone_async import FileTokenStore, LCPhoneClient, OAuthTokens

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
url, path, refresh_token = sys.argv[1:]

def new():
    store = FileTokenStore(path)
    source = OAuthTokens(
        client_id="app-1", client_secret="secret", refresh_token=refresh_token, store=store
    )
    return LCPhoneClient(source, base_url=url)
"""

CLOSED = """
async def main():
    async with new() as client:
        await client.number_pools("loc1")

asyncio.run(main())
"""

AS_A_SERVICE = """
async def main():
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        loop.add_signal_handler(number, task.cancel)
    async with new() as client:
        await client.number_pools("loc1")

asyncio.run(main())
"""

UNCLOSED = """
async def main():
    client = new()
    await client.number_pools("loc1")

asyncio.run(main())
"""

UNCLOSED_AT_ITS_END = """
async def main():
    client = new()
    asyncio.create_task(client.number_pools("loc1"))
    await asyncio.sleep(0.5)

asyncio.run(main())
"""

CLOSED_LATER = """
loop = asyncio.new_event_loop()
client = new()
try:
    loop.run_until_complete(client.number_pools("loc1"))
finally:
    loop.run_until_complete(client.close())
    loop.close()
"""


@pytest.fixture
def app():
    """A sandbox that acts at once on a refresh and answers a second later."""
    settings = OAuthSettings(client_id="app-1", client_secret="secret")
    slow = Fault(operation="token", point="after", delay=1.0)
    with Sandbox(oauth_app=settings, faults=[slow]).in_thread() as sandbox:
        yield sandbox


def started(app, path, program):
    arguments = [app.url, path, app.oauth.install("loc1").refresh_token]
    return subprocess.Popen(
        [sys.executable, "-c", BEGINNING + program, *arguments], stderr=subprocess.PIPE
    )


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("program", "signals"),
    [
        (CLOSED, [signal.SIGINT]),
        (CLOSED, [signal.SIGINT, signal.SIGINT]),
        (AS_A_SERVICE, [signal.SIGTERM]),
        (AS_A_SERVICE, [signal.SIGTERM, signal.SIGTERM]),
        (AS_A_SERVICE, [signal.SIGHUP]),
        (AS_A_SERVICE, [signal.SIGQUIT]),
        (UNCLOSED, [signal.SIGINT]),
        (UNCLOSED_AT_ITS_END, []),
        (CLOSED_LATER, [signal.SIGINT]),
    ],
    ids=[
        "Ctrl-C",
        "Ctrl-C twice",
        "SIGTERM",
        "SIGTERM twice",
        "SIGHUP",
        "SIGQUIT",
        "unclosed, Ctrl-C",
        "unclosed",
        "run_until_complete",
    ],
)
def test_the_new_tokens_are_in_the_file(app, tmp_path, program, signals):
    """Keeps the answer of a refresh that is under way when the program ends."""
    path = tmp_path / "tokens.json"
    with started(app, path, program) as process:
        while not app.oauth.ledger:  # the service has acted, and its answer is on its way
            time.sleep(0.02)
        for each in signals:
            process.send_signal(each)
            time.sleep(0.1)
        process.communicate(timeout=20)
    kept = json.loads(path.read_text())["refresh_token"]
    assert app.oauth.refresh(kept, "Location")
