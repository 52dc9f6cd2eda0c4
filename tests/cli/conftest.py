"""The command, pointed at what a test needs."""

import signal

import pytest

from cli.lcphone_command import Command


@pytest.fixture
def journal(tmp_path):
    """Where the command keeps its purchases."""
    return tmp_path / "purchases.db"


@pytest.fixture
def bare(journal):
    """The command, of which nothing is set but its journal."""
    return Command(journal)


@pytest.fixture
def lcphone(lcphone_sandbox, journal):
    """The command, pointed at a sandbox."""
    return Command.for_url(lcphone_sandbox.url, journal)


@pytest.fixture
def lcphone_raw(raw_server, journal):
    """The command, pointed at the server of raw bytes."""
    return Command.for_url(raw_server.url, journal)


@pytest.fixture(autouse=True)
def interruptible():
    """Ctrl-C reaches the command also where a shell has this process in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
