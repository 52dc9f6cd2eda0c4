"""Tokens under load: one refresh for all who need it, in four processes, also where one is killed.

Four processes of 500 tasks, which share a file of tokens, meet an expired access token at once.
The sandbox ends an installation whose used refresh token comes again. Then the same, and the
process that refreshes is killed with SIGKILL between the answer and the file: with the sandbox's
grace the others get the lost answer again; without it they must be told that it is lost.

Then one client walks over 1,000 locations with an agency's token, whose tokens expire meanwhile.
The run fails if a second refresh was sent, a task failed, a location's token was asked for twice
or used after it had expired, or memory grew.

    python benchmarks/stress/token_refresh.py [--short]
"""

import argparse
import asyncio
import gc
import multiprocessing
import os
import signal
import sys
import tempfile
import tracemalloc
from collections import Counter
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from attrs import define, frozen

from lcphone_async import (
    AgencyTokens,
    FileTokenStore,
    LCPhoneClient,
    LCPhoneError,
    OAuthTokens,
    RateLimiter,
)
from lcphone_async.auth.refresh_marker import is_marked
from lcphone_async.sandbox import OAuthSettings, Sandbox

sys.path.append(str(Path(__file__).parents[1]))  # for the modules that all benchmarks share
from _report import print_table

PROCESSES, AT_ONCE = 4, 8
ANY_NUMBER = 1_000_000
APP = {"client_id": "app", "client_secret": "secret"}
COMPANY = "company"
LIFETIME = 2.0
# The limiter remembers what was called within the last period: a short one, to see the tokens.
PERIOD = 0.1
SPAWN = multiprocessing.get_context("spawn")

# So many bytes more than in its first fifth a walk may take later.
MOST_GROWTH = 200_000


@frozen
class Deadly(FileTokenStore):
    """A store in a file that kills the first process that has new tokens for it."""

    path: Path

    async def replace(self, old: str | None, new: str) -> bool:
        """Between the answer to the refresh and the file."""
        if is_marked(new):
            return await super().replace(old, new)
        try:
            os.close(os.open(self.path.with_name("killed"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return await super().replace(old, new)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@frozen
class Storm:
    """What each process of a storm is told."""

    url: str
    folder: Path
    access_token: str
    refresh_token: str
    tasks: int
    is_deadly: bool

    def store(self) -> FileTokenStore:
        """The file that they share."""
        return (Deadly if self.is_deadly else FileTokenStore)(self.folder / "tokens.json")


def live(storm: Storm, ready: Barrier, told: "Queue[Counter[str]]") -> None:
    """One process: all its tasks call at once, with an access token that has expired."""

    async def call(client: LCPhoneClient) -> str:
        try:
            await client.number_pools("loc1")
        except LCPhoneError as error:
            return type(error).__name__
        return "answered"

    async def main() -> None:
        tokens = {"access_token": storm.access_token, "refresh_token": storm.refresh_token}
        source = OAuthTokens(**APP, **tokens, store=storm.store())
        limiter = RateLimiter(ANY_NUMBER)
        async with LCPhoneClient(source, base_url=storm.url, limiter=limiter) as client:
            ready.wait()
            outcomes = await asyncio.gather(*(call(client) for _ in range(storm.tasks)))
        told.put(Counter(outcomes))

    asyncio.run(main())


@define
class Outcome:
    """What came of a storm, by the sandbox and by the processes."""

    title: str
    refreshes: Counter[str]
    calls: Counter[str]
    killed: int

    def row(self) -> list[str]:
        """A line of the table."""
        refused = sum(n for outcome, n in self.refreshes.items() if outcome.startswith("Invalid"))
        figures = (self.refreshes["issued"], self.refreshes["repeated"], refused, self.killed)
        failed = self.calls.total() - self.calls["answered"]
        return [self.title, *map(str, (*figures, self.calls["answered"], failed))]


def storm(title: str, tasks: int, *, grace: float, is_deadly: bool) -> Outcome:
    """Lets the processes loose on an expired token."""
    app = OAuthSettings(**APP, grace=grace)
    sandbox = Sandbox(oauth_app=app, max_requests=ANY_NUMBER)
    with tempfile.TemporaryDirectory() as folder, sandbox.in_thread():
        grant = sandbox.oauth.install("loc1")
        sandbox.oauth.revoke(grant.access_token)
        told: Queue[Counter[str]] = SPAWN.Queue()
        ready = SPAWN.Barrier(PROCESSES)
        given = (grant.access_token, grant.refresh_token, tasks, is_deadly)
        plan = Storm(sandbox.url, Path(folder), *given)
        processes = [SPAWN.Process(target=live, args=(plan, ready, told)) for _ in range(PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        killed = sum(process.exitcode == -signal.SIGKILL for process in processes)
        ended = sum(process.exitcode == 0 for process in processes)
        calls = sum((told.get(timeout=10) for _ in range(ended)), Counter[str]())
        outcomes = (e.outcome for e in sandbox.oauth.ledger if e.grant_type == "refresh_token")
        return Outcome(title, Counter(outcomes), calls, killed)


def storms(tasks: int) -> list[str]:
    """The three of them; gives what was broken."""
    even = storm("nobody is killed", tasks, grace=0, is_deadly=False)
    recovered = storm("killed before the file", tasks, grace=30, is_deadly=True)
    lost = storm("the same, without a grace", tasks, grace=0, is_deadly=True)
    columns = ["", "refreshed", "given again", "refused", "killed", "calls answered", "failed"]
    rows = [outcome.row() for outcome in (even, recovered, lost)]
    print_table(f"{PROCESSES} processes of {tasks} tasks meet an expired token", columns, rows)
    left = (PROCESSES - 1) * tasks
    promises = {
        "one refresh": even.refreshes == {"issued": 1},
        "nobody fails": even.calls == {"answered": PROCESSES * tasks},
        "the lost answer is given again, once": recovered.refreshes == {"issued": 1, "repeated": 1},
        "nobody fails who was not killed": recovered.killed == 1
        and recovered.calls == {"answered": left},
        "all are told that it is lost": lost.killed == 1
        and lost.calls == {"AuthorizationLostError": left},
    }
    return [promise for promise, holds in promises.items() if not holds]


def walk(url: str, refresh_token: str, locations: int, told: "Queue[tuple[int, int]]") -> None:
    """One process: eight locations at a time, some calls each, and what memory it takes."""

    async def visit(client: LCPhoneClient, location_id: str) -> None:
        async for _ in client.active_numbers(location_id, page_size=10):
            pass
        await client.number_pools(location_id)

    async def main() -> None:
        source = OAuthTokens(**APP, refresh_token=refresh_token)
        tokens = AgencyTokens(company_id=COMPANY, source=source, max_locations=50)
        limiter = RateLimiter(ANY_NUMBER, PERIOD)
        places = [f"place{number}" for number in range(locations)]
        kept = []
        async with LCPhoneClient(tokens, base_url=url, limiter=limiter) as client:
            for start in range(0, locations, AT_ONCE):
                some = places[start : start + AT_ONCE]
                await asyncio.gather(*(visit(client, place) for place in some))
                await asyncio.sleep(2 * LIFETIME * AT_ONCE / locations)
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
        told.put((max(kept[: len(kept) // 5]), max(kept)))

    tracemalloc.start()
    asyncio.run(main())


def agency(locations: int) -> list[str]:
    """The walk; gives what was broken."""
    app = OAuthSettings(**APP, company_id=COMPANY, expires_in=LIFETIME)
    limits = {"max_requests": ANY_NUMBER, "period": PERIOD, "keep_requests": ANY_NUMBER}
    sandbox = Sandbox(oauth_app=app, numbers_per_location=30, **limits)
    with sandbox.in_thread():
        told: Queue[tuple[int, int]] = SPAWN.Queue()
        refresh_token = sandbox.oauth.install().refresh_token
        process = SPAWN.Process(target=walk, args=(sandbox.url, refresh_token, locations, told))
        process.start()
        early, late = told.get(timeout=600)
        process.join()
    asked = Counter(e.location_id for e in sandbox.oauth.ledger if e.grant_type == "location")
    renewed = sum(entry.grant_type == "refresh_token" for entry in sandbox.oauth.ledger)
    statuses = Counter(request.status for request in sandbox.requests)
    rows = [
        ["locations", f"{len(asked)}"],
        ["tokens asked for", f"{asked.total()}"],
        ["calls with them", f"{statuses.total() - asked.total() - renewed}"],
        ["tokens of the agency", f"{renewed}"],
        ["calls refused with 401", f"{statuses[401]}"],
        ["kilobytes at most, first fifth", f"{early / 1000:.0f}"],
        ["kilobytes at most, whole walk", f"{late / 1000:.0f}"],
    ]
    print_table(f"a walk with an agency's token; tokens live {LIFETIME:g} s", ["", ""], rows)
    promises = {
        "every location was walked": len(asked) == locations,
        "each token is asked for once": set(asked.values()) == {1},
        "the agency's token expired meanwhile": renewed > 1,
        "no token outlives its expiry": set(statuses) == {200},
        "memory stays flat": late - early < MOST_GROWTH,
    }
    return [promise for promise, holds in promises.items() if not holds]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="only see that it runs")
    short = parser.parse_args().short
    broken = storms(50 if short else 500)
    outlived = agency(250 if short else 1000)
    if not short:  # on a busy machine the clock decides
        broken += outlived
    print("\n" + ("\n".join(f"BROKEN: {promise}" for promise in broken) or "all promises hold"))
    sys.exit(bool(broken))
