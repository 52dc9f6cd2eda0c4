"""An agency of 2,000 locations with 1,000,000 numbers, audited while one request in 20 fails.

A sandbox, in a process of its own, answers after 100 ms, as a far service does; one request in
twenty is struck by a fault: refused, reset, stalled, cut off or garbled. The audit, in a process
of its own too so that its peak memory is its own, takes the inventory into a store, which is then
compared with the sandbox's, number by number. The same numbers are read for some of the locations
by the loop that a user would write on the vendor's SDK: location after location, page after page,
a request again when it fails; its answers are written as lines of JSON.

Then one location with a million numbers, without faults, to see that memory does not follow it.

The run fails if a number is missing or there twice, a location is not complete, the memory passes
its bound, or the audit is slower than the loop.

    python benchmarks/stress/audit.py [--short]      # with the extras `audit` and `bench`
"""

import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from attrs import frozen

from lcphone_async import LCPhoneClient, RateLimiter
from lcphone_async.audit import audit
from lcphone_async.audit.reader import open_run
from lcphone_async.sandbox import Fault, Sandbox

sys.path.append(str(Path(__file__).parents[1]))  # for the modules that all benchmarks share
from _measure import is_short
from _report import print_table, print_versions
from _server import in_process
from _walks import vendor_client

LATENCY, SHARE = 0.1, 0.05
LIMITS = {"max_requests": 10**6, "daily_quota": 10**9}
MOST_MEMORY = 400  # MiB
PAGE = 1000
FAULTS: list[dict[str, Any]] = [
    *({"status": status} for status in (429, 500, 502, 503, 504)),
    *({"damage": damage} for damage in ("reset", "hang-up", "cut-off", "corrupted", "html")),
]


@frozen
class World:
    """What the sandbox is told."""

    locations: int
    numbers: int
    """Of each location."""
    faults: bool = True

    @property
    def ids(self) -> list[str]:
        """The locations."""
        return [f"location-{index:05}" for index in range(self.locations)]

    def sandbox(self) -> Sandbox:
        """A service that has them."""
        chance = 1 - (1 - SHARE) ** (1 / len(FAULTS))
        faults = [Fault(probability=chance, **fault) for fault in FAULTS if self.faults]
        late = Fault(delay=LATENCY)
        return Sandbox(faults=[late, *faults], numbers_per_location=self.numbers, **LIMITS)


@frozen
class Result:
    """What an audit took."""

    seconds: float
    memory: float
    """MiB, at the most."""
    complete: int


def struck(sandbox: Sandbox) -> int:
    """How many requests met a fault that was more than the way."""
    return sum(fault.answers for fault in sandbox.faults.struck)


def take(url: str, ids: list[str], store: Path, pipe: Any) -> None:
    """The audit, and nothing else, in a process of its own."""

    async def run() -> Result:
        limiter = RateLimiter(LIMITS["max_requests"])
        async with LCPhoneClient("token", base_url=url, limiter=limiter) as client:
            summary = await audit(client, ids, store)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Result(summary.seconds, memory, summary.coverage.get("complete", 0))

    pipe.send(asyncio.run(run()))


def audited(url: str, ids: list[str], store: Path) -> Result:
    """Runs it."""
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe()
    process = spawn.Process(target=take, args=(url, ids, store, its))
    process.start()
    its.close()
    result: Result = ours.recv()
    process.join()
    return result


async def by_hand(url: str, ids: list[str], out: Path) -> int:
    """The loop on the vendor's SDK; gives how many numbers it read."""
    client, count = vendor_client(url), 0

    async def again(call: Callable[[], Any]) -> Any:
        for attempt in range(5):
            try:
                return await call()
            except Exception:  # noqa: BLE001  # the SDK has an error of each kind
                await asyncio.sleep(0.1 * 2**attempt)
        raise RuntimeError

    with out.open("w") as file:
        for location in ids:
            await again(partial(client.phone_system.get_number_pool_list, location))
            for page in range(10**9):
                read = partial(
                    client.phone_system.active_numbers,
                    location, "v3", page=page, page_size=PAGE, skip_number_pool=False,
                )  # fmt: skip
                numbers = (await again(read))["data"]["numbers"]
                file.writelines(json.dumps(number) + "\n" for number in numbers)
                count += len(numbers)
                if len(numbers) < PAGE:
                    break
    await client.close()
    return count


def wrong(world: World, store: Path) -> tuple[int, int]:
    """How many numbers are missing or too many, of those that the sandbox has."""
    told = world.sandbox()
    missing = extra = 0
    with open_run(store) as run:
        for location_id in world.ids:
            rows = run.rows("SELECT phone_number FROM numbers WHERE location_id = ?", location_id)
            numbers = {number.phone_number for number in told.location(location_id).numbers}
            missing += len(numbers - {number for (number,) in rows})
            extra += len(rows) - len(numbers & {number for (number,) in rows})
    return missing, extra


@contextmanager
def serving(world: World) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The sandbox, in a process of its own."""
    with in_process(world.sandbox, struck) as (url, faults):
        yield url, faults


def main(*, short: bool) -> int:
    """Runs both, prints the figures, and gives 1 if a promise was broken."""
    many = World(60, 500) if short else World(2_000, 500)
    one = World(1, 20_000 if short else 1_000_000, faults=False)
    sample = many.ids[: 6 if short else 60]
    broken: list[str] = []
    print_versions("lcphone-async", "duckdb", "pyarrow", "gohighlevel-api-client")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(many) as (url, faults):
            result = audited(url, many.ids, folder / "many")
            strikes = faults()
            began = time.monotonic()
            with redirect_stdout(StringIO()):  # the SDK prints each error
                count = asyncio.run(by_hand(url, sample, folder / "lines"))
            hand = count / (time.monotonic() - began)
        missing, extra = wrong(many, folder / "many")
        total = many.locations * many.numbers
        rate = total / result.seconds
        print_table(
            f"{many.locations:,} locations with {total:,} numbers, answers after {LATENCY} s",
            ["", "audit", "loop on the vendor's SDK"],
            [
                ["locations read", f"{many.locations:,}", f"{len(sample):,}"],
                ["faults met", f"{strikes:,}", ""],
                ["locations complete", f"{result.complete:,}", ""],
                ["numbers missing", f"{missing:,}", ""],
                ["numbers too many", f"{extra:,}", ""],
                ["seconds", f"{result.seconds:,.1f}", f"{count / hand:,.1f}"],
                ["numbers a second", f"{rate:,.0f}", f"{hand:,.0f}"],
                ["ratio", f"{rate / hand:.1f}", "1"],
                ["peak memory, MiB", f"{result.memory:,.0f}", ""],
            ],
        )
        broken += ["numbers missing or too many"] * bool(missing or extra)
        broken += ["locations not complete"] * (result.complete < many.locations)
        broken += ["slower than the loop"] * (rate < hand)
        with serving(one) as (url, _):
            large = audited(url, one.ids, folder / "one")
        missing, extra = wrong(one, folder / "one")
        print_table(
            f"one location with {one.numbers:,} numbers",
            ["", "audit"],
            [
                ["numbers missing or too many", f"{missing + extra:,}"],
                ["seconds", f"{large.seconds:,.1f}"],
                ["numbers a second", f"{one.numbers / large.seconds:,.0f}"],
                ["peak memory, MiB", f"{large.memory:,.0f}"],
            ],
        )
        broken += ["numbers missing or too many in one location"] * bool(missing or extra)
        memory = max(result.memory, large.memory)
        broken += [f"memory above {MOST_MEMORY} MiB"] * (memory > MOST_MEMORY)
    for promise in broken:
        print(f"BROKEN: {promise}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main(short=is_short(__doc__)))
