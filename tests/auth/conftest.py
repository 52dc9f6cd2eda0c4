"""More OAuth apps that are installed in a sandbox."""

import pytest_asyncio

from lcphone_async.sandbox import Sandbox
from support.oauth_app import App, settings


@pytest_asyncio.fixture
async def v3(clock):
    """The same, where the contract makes no difference."""
    async with Sandbox(oauth_app=settings(), clock=clock, max_requests=10_000) as sandbox:
        yield App(sandbox, "v3")


@pytest_asyncio.fixture
async def lenient(clock):
    """One that gives the answer to a used refresh token again, for 30 seconds."""
    app = settings(grace=30)
    async with Sandbox(oauth_app=app, clock=clock, max_requests=10_000) as sandbox:
        yield App(sandbox, "v3")
