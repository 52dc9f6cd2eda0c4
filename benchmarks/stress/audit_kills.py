"""An audit that is killed with SIGKILL twenty times, and one that is not: row for row the same.

A process takes the inventory of a sandbox that fails one request in fifty; again and again it is
killed at a random moment, from its first import to its last commit, and started with `resume`.
Then every table of its store is exported and compared, byte by byte, with that of a process that
nobody disturbed; of the locations' table all but the run's times.

The run fails if there is a difference, a location that is not complete, or anything left over on
the disk.

    python benchmarks/stress/audit_kills.py [--short]      # with the extra `audit`
"""

import asyncio
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from lcphone_async import LCPhoneClient, RateLimiter
from lcphone_async.audit import audit, export
from lcphone_async.audit.reader import open_run
from lcphone_async.sandbox import Fault, Sandbox

sys.path.append(str(Path(__file__).parents[1]))  # for the modules that all benchmarks share
from _measure import is_short
from _report import print_table, print_versions
from _server import in_process

LIMITS = {"max_requests": 10**6, "daily_quota": 10**9}
FAULTS = [Fault(probability=0.01, status=503), Fault(probability=0.01, damage="cut-off")]
TABLES = ("numbers", "pools", "pool_numbers", "rcs_sender_ids")


def live(url: str, locations: int, store: Path) -> None:
    """One life of a process, from where the last one ended."""

    async def run() -> None:
        limiter = RateLimiter(LIMITS["max_requests"])
        ids = [f"location-{index}" for index in range(locations)]
        async with LCPhoneClient("token", base_url=url, limiter=limiter) as client:
            summary = await audit(client, ids, store, resume=True, concurrency=8)
        if not summary.is_complete:
            raise RuntimeError(summary)

    asyncio.run(run())


def start(url: str, locations: int, store: Path) -> BaseProcess:
    """A life that begins."""
    process = multiprocessing.get_context("spawn").Process(
        target=live, args=(url, locations, store)
    )
    process.start()
    return process


def undisturbed(url: str, locations: int, store: Path) -> tuple[float, float]:
    """Seconds until the process has opened its store, and until it ended."""
    began = time.monotonic()
    process = start(url, locations, store)
    while not store.exists():
        time.sleep(0.01)
    opened = time.monotonic() - began
    process.join()
    return opened, time.monotonic() - began


def contents(store: Path, folder: Path) -> dict[str, bytes]:
    """What a store has, as bytes, but for the times of the run."""
    folder.mkdir()
    found = {}
    for table in TABLES:
        export(store, folder / table, "jsonl", table=table)
        found[table] = (folder / table).read_bytes()
    with open_run(store) as run:
        query = "SELECT * EXCLUDE (finished_at, seconds) FROM locations ORDER BY position"
        found["locations"] = repr(run.rows(query)).encode()
    return found


def main(*, short: bool) -> int:
    """Kills, resumes, compares; 1 if a promise was broken."""
    kills, locations, numbers = (4, 150, 800) if short else (20, 400, 1_200)
    random.seed(0)
    print_versions("lcphone-async", "duckdb", "pyarrow")
    world = partial(Sandbox, faults=FAULTS, numbers_per_location=numbers, **LIMITS)
    with tempfile.TemporaryDirectory() as name, in_process(world, repr) as (url, _):
        folder = Path(name)
        resumed, codes, done = folder / "resumed", [], []
        until_open, whole = undisturbed(url, locations, folder / "calm")
        longest = until_open + 1.8 * (whole - until_open) / kills
        while len(codes) < kills:
            process = start(url, locations, resumed)
            process.join(random.uniform(0.1, longest))
            process.kill()
            process.join()
            codes.append(process.exitcode)
            done.append(seen(resumed))
        process = start(url, locations, resumed)
        process.join()
        codes.append(process.exitcode)
        left = {path.name for path in folder.iterdir()} - {"calm", "resumed", "resumed.wal"}
        before, after = (contents(folder / n, folder / f"{n}-") for n in ("calm", "resumed"))
    killed = codes.count(-signal.SIGKILL)
    print_table(
        f"{locations:,} locations with {locations * numbers:,} numbers",
        ["", ""],
        [
            ["killed with SIGKILL", f"{killed}"],
            ["locations in the store at each kill", " ".join(map(str, done))],
            *(
                [f"{t}: bytes, and equal", f"{len(after[t]):,} {after[t] == before[t]}"]
                for t in after
            ),
            ["left over on the disk", f"{sorted(left)}"],
        ],
    )
    broken = before != after or left or codes[-1] != 0 or {*codes} - {0, -signal.SIGKILL}
    print("BROKEN" if broken else "the same")
    return int(bool(broken))


def seen(store: Path) -> int:
    """How many locations are in a store that may not be there yet."""
    if not store.exists():
        return 0
    with open_run(store) as run:
        return run.rows("SELECT count(*) FROM locations WHERE coverage = 'complete'")[0][0]


if __name__ == "__main__":
    sys.exit(main(short=is_short(__doc__)))
