"""The pytest fixtures that come with the package."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import Sandbox


@pytest.fixture
def lcphone_sandbox() -> "Iterator[Sandbox]":
    """Run a local LC Phone service for one test, in a thread of its own.

    It takes any token and any location id. `lcphone_sandbox.url` is where it listens, and
    `.location(id)`, `.ledger` and `.requests` are what it knows. `.faults` is what goes wrong.
    """
    from . import server

    with server.Sandbox().in_thread() as sandbox:
        yield sandbox
