"""What the sandbox's tests share: a plain HTTP caller that holds every answer to the documents."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from attrs import frozen

from lcphone_async.sandbox import Sandbox
from support.response_schemas import OPERATIONS, VERSIONS, check
from support.token_caller import App


@frozen
class Response:
    status: int
    headers: Any
    body: Any


@frozen
class Caller:
    """Calls the four operations, and holds each answer to its document."""

    session: aiohttp.ClientSession
    base: str
    version: str = "v3"
    token: str = "pit-test"

    async def pools(self, **params: Any) -> Response:
        return await self._call("pools", params=params)

    async def available(self, location: str, **params: Any) -> Response:
        return await self._call("available", location, params=params)

    async def active(self, location: str, **params: Any) -> Response:
        return await self._call("active", location, params=params)

    async def purchase(self, location: str, **fields: Any) -> Response:
        return await self._call("purchase", location, data=json.dumps(fields).encode())

    async def page(self, location: str, **params: Any) -> dict[str, Any]:
        """The payload of a page of active numbers, out of its envelope."""
        body = (await self.active(location, **params)).body
        return body["data"] if self.version == "v3" else body

    async def _call(self, operation: str, location: str = "", **options: Any) -> Response:
        method, path = OPERATIONS[operation]
        headers = {"Authorization": f"Bearer {self.token}", "Version": self.version}
        url = self.base + path.format(locationId=location)
        async with self.session.request(method, url, headers=headers, **options) as response:
            body = await response.json()
        check(self.version, operation, response.status, body)
        if response.status >= 400:
            assert {"message", "error", "statusCode", "traceId"} <= body.keys()
            assert body["statusCode"] == response.status
        return Response(response.status, response.headers, body)


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
async def sandbox():
    async with Sandbox() as running:
        yield running


@pytest.fixture
def caller(session, sandbox, version):
    """A caller of each contract in turn."""
    return Caller(session, sandbox.url, version)


@pytest.fixture
def app(session, sandbox, version):
    """An app that calls the token endpoints of each contract in turn."""
    return App(session, sandbox, version)


@pytest.fixture
def call(session):
    """Make a caller of a given sandbox: `call(sandbox, token=…)`."""

    def make(sandbox, **options):
        return Caller(session, sandbox.url, **options)

    return make
