"""The service of the soak: every fault that the sandbox knows, outages, and its own books."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import aiohttp
from _callers import APP, COMPANY, LIMITS, NUMBERS, SEED, SHIFTING, STRICT, TIMEOUT
from _resale import selling_again
from attrs import frozen

from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox
from lcphone_async.sandbox.faulty.list_changes import ListChange
from lcphone_async.sandbox.faulty.rules import Damage, Point

CHANCE = 0.01
DELAYS = (TIMEOUT / 2, 1.5 * TIMEOUT)
TOKEN_LIFETIME = 10.0

POINTS = get_args(Point)
KINDS: list[dict[str, Any]] = [
    {"replay": 1, "point": "after"},  # before those that wait: the number is for sale again then
    *({"damage": damage, "point": point} for damage in get_args(Damage) for point in POINTS),
    *({"status": status, "point": point} for status in (500, 502, 503, 504) for point in POINTS),
    *({"delay": delay, "point": point} for delay in DELAYS for point in POINTS),
    *({"status": status} for status in (400, 401, 403, 404, 422, 429)),
    {"status": 429, "retry_after": 1},
    {"status": 502, "body": "<html><h1>Bad Gateway</h1></html>"},
    *({"change": change, "location": SHIFTING} for change in get_args(ListChange)),
]
FAULTS = [
    *({"probability": CHANCE, **kind} for kind in KINDS),
    {"limit": 20, "location": STRICT},
]


@asynccontextmanager
async def service() -> AsyncIterator[Sandbox]:
    """The sandbox, which sells a number as often as it is asked for."""
    app = OAuthSettings(**APP, company_id=COMPANY, expires_in=TOKEN_LIFETIME, grace=1e9)
    world = {"seed": SEED, "numbers_per_location": NUMBERS, "daily_quota": 10**9, "oauth_app": app}
    faults = [Fault(**fault) for fault in FAULTS]
    with selling_again():
        async with Sandbox(faults=faults, **world, **LIMITS) as sandbox:
            yield sandbox


@frozen
class Account:
    """What the sandbox tells in the end."""

    faults: Counter[str]
    ledger: Counter[tuple[str, str]]
    tokens: int


def account(sandbox: Sandbox) -> Account:
    """Its own books."""
    return Account(
        Counter(map(told, sandbox.faults.struck)),
        Counter((entry.location_id, entry.phone_number) for entry in sandbox.ledger),
        sum(entry.outcome == "issued" for entry in sandbox.oauth.ledger),
    )


def told(fault: Fault) -> str:
    """A fault's kind, in a few words."""
    late = f"{fault.delay:g} s late" if fault.delay else ""
    wait = f"{fault.status} with Retry-After" if fault.retry_after is not None else ""
    page = f"{fault.status} of a proxy" if fault.body is not None else ""
    limit = "429 of a lower limit" if fault.limit else ""
    other = "replayed" if fault.replay else str(fault.status)
    what = fault.damage or late or wait or page or limit or fault.change or other
    return f"{what}, after it acted" if fault.point == "after" else what


async def steer(url: str, method: str, what: str, told: object = None) -> Any:
    """Tells the sandbox something over HTTP; gives its answer."""
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.request(method, f"{url}/__sandbox__/{what}", json=told) as answer,
    ):
        return await answer.json()


@asynccontextmanager
async def refusing(url: str) -> AsyncIterator[None]:
    """The service answers 503 to all."""
    await steer(url, "POST", "faults", {"status": 503})
    yield
    await steer(url, "DELETE", "faults")
    await steer(url, "POST", "faults", FAULTS)


@asynccontextmanager
async def not_answering(_: str) -> AsyncIterator[None]:
    """The service's process is frozen."""
    (process,) = multiprocessing.active_children()
    os.kill(process.pid or 0, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid or 0, signal.SIGCONT)


OUTAGES = {"503": refusing, "frozen": not_answering}
