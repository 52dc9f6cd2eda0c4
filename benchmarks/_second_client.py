"""`LCPhoneClient` on the sandbox, while another program spends half of the same budget.

At one location the other program was there first, at the other it comes two periods later.
Few 429s of ours mean something only where the other met few too, and so did spend its half.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import NamedTuple

import aiohttp
from _report import percent, print_table
from _server import in_process

from lcphone_async import LCPhoneClient, LCPhoneError, RateLimiter
from lcphone_async.sandbox import Sandbox

LIMIT = 100
OTHERS_START = {"there first": 0.0, "comes later": 3.0}
"""When the other program begins at each location, in periods; ours begins after one."""
TASKS = 20


class Answered(NamedTuple):
    """A request, as the wire saw it."""

    at: float
    """In periods, from the beginning."""
    location: str
    ours: bool
    status: int


class Shared(NamedTuple):
    """What came of a location's budget while two programs spent it."""

    requests: int
    """Ours, retries included."""
    refused: int
    """Those of ours that ended in 429."""
    others_requests: int
    others_refused: int
    reached_caller: int
    """How many of our calls ended in an error."""
    use: float
    """What both got of the budget, from one period after both had begun."""


def share_budget(period: float, periods: int) -> dict[str, Shared]:
    """Lets both programs spend the budgets of two locations; gives what came of each."""
    make = partial(Sandbox, max_requests=LIMIT, period=period)
    with in_process(make, repr) as (url, _):
        return asyncio.run(_Run(url, period, periods).run())


def shared_budget(period: float, periods: int, most_refused: float) -> Iterator[str]:
    """Prints what came of a budget that is shared; gives the promises that our client broke.

    `most_refused` is the share of our requests that may end in 429.
    """
    outcomes = share_budget(period, periods)
    rows = [
        [
            f"another {name}",
            f"{outcome.refused} of {outcome.requests}",
            percent(outcome.refused / outcome.requests),
            str(outcome.reached_caller),
            f"{outcome.others_refused} of {outcome.others_requests}",
            percent(outcome.use),
        ]
        for name, outcome in outcomes.items()
    ]
    columns = ["", "our 429s", "share", "errors", "the other's 429s", "used in all"]
    print_table(f"LCPhoneClient, 100 per {period:g} s, half spent by another", columns, rows)
    for name, outcome in outcomes.items():
        if outcome.reached_caller:
            yield f"another {name}: {outcome.reached_caller} errors reached the caller"
        if outcome.refused >= most_refused * outcome.requests:
            yield f"another {name}: {outcome.refused} of {outcome.requests} requests ended in 429"


class _Run:
    def __init__(self, url: str, period: float, periods: int) -> None:
        self.url, self.period, self.end = url, period, periods
        self.wire: list[Answered] = []
        self.errors: list[str] = []

    async def run(self) -> dict[str, Shared]:
        self.start = asyncio.get_running_loop().time()
        async with self.session(ours=False) as other, self.session(ours=True) as session:
            limiter = RateLimiter(LIMIT, self.period)
            client = LCPhoneClient("ours", base_url=self.url, session=session, limiter=limiter)
            async with client:
                await asyncio.gather(
                    *(self.other(other, *location) for location in OTHERS_START.items()),
                    *(self.ours(client, name) for name in OTHERS_START for _ in range(TASKS)),
                )
        return {name: self.outcome(name) for name in OTHERS_START}

    def now(self) -> float:
        """The time in periods."""
        return (asyncio.get_running_loop().time() - self.start) / self.period

    async def wait_until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self.now()) * self.period)

    async def ours(self, client: LCPhoneClient, location: str) -> None:
        """Calls on and on."""
        await self.wait_until(1.0)
        while self.now() < self.end:
            try:
                await client.number_pools(location)
            except LCPhoneError:
                self.errors.append(location)

    async def other(self, session: aiohttp.ClientSession, location: str, start: float) -> None:
        """Sends half of the budget, evenly."""
        url = f"{self.url}/phone-system/number-pools"
        while start < self.end:
            await self.wait_until(start)
            await (await session.get(url, params={"locationId": location})).read()
            start += 2 / LIMIT

    def session(self, *, ours: bool) -> aiohttp.ClientSession:
        """A session that writes down what comes back on the wire."""

        async def note(_: object, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
            location = end.url.query["locationId"]
            self.wire.append(Answered(self.now(), location, ours, end.response.status))

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(note)
        headers = None if ours else {"Authorization": "Bearer other", "Version": "v3"}
        return aiohttp.ClientSession(headers=headers, trace_configs=[trace])

    def outcome(self, location: str) -> Shared:
        """What came of one location."""
        wire = [answered for answered in self.wire if answered.location == location]
        statuses = Counter((answered.ours, answered.status) for answered in wire)
        programs = Counter(answered.ours for answered in wire)
        begin = max(OTHERS_START[location], 1.0) + 1
        used = sum(answered.status == HTTPStatus.OK for answered in wire if answered.at >= begin)
        return Shared(
            programs[True],
            statuses[True, HTTPStatus.TOO_MANY_REQUESTS],
            programs[False],
            statuses[False, HTTPStatus.TOO_MANY_REQUESTS],
            reached_caller=self.errors.count(location),
            use=used / (LIMIT * (max(answered.at for answered in wire) - begin)),
        )
