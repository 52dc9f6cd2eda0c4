"""Fixtures that run the command."""

import signal

import pytest

from support.forks import Forks
from support.lcphone_command import Command


@pytest.fixture(scope="session")
def forks():
    """A process of which the command's are forks."""
    with Forks() as forks:
        yield forks


@pytest.fixture(autouse=True)
def heard_hangup():
    """Lets the command hear SIGHUP, also if the tests run under nohup, which ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def journal(tmp_path):
    """Path of the command's journal."""
    return tmp_path / "purchases.db"


@pytest.fixture
def bare(forks, journal):
    """The command, of which nothing is set but its journal."""
    return Command(forks, journal)


@pytest.fixture
def lcphone(bare, lcphone_sandbox):
    """The command, pointed at a sandbox."""
    return bare.for_url(lcphone_sandbox.url)


@pytest.fixture
def lcphone_raw(bare, raw_server):
    """The command, pointed at the server of raw bytes."""
    return bare.for_url(raw_server.url)


@pytest.fixture(autouse=True)
def interruptible():
    """Restores SIGINT, which a shell ignores for background processes."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
