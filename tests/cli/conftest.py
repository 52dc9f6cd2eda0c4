"""The command, pointed at what a test needs."""

import pytest

from cli.lcphone_command import Command


@pytest.fixture
def bare():
    """The command, of which nothing is set."""
    return Command()


@pytest.fixture
def lcphone(lcphone_sandbox):
    """The command, pointed at a sandbox."""
    return Command.for_url(lcphone_sandbox.url)


@pytest.fixture
def lcphone_raw(raw_server):
    """The command, pointed at the server of raw bytes."""
    return Command.for_url(raw_server.url)
