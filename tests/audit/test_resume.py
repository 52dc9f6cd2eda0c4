"""Going on with a run: after a kill at any moment, and after failures."""

import random
import subprocess
import sys

import pytest

from lcphone_async.audit import Coverage, StoreError, export
from lcphone_async.sandbox import Fault, Sandbox
from support.agency import Place, number

RUN = """
import asyncio, sys
from lcphone_async import LCPhoneClient, RateLimiter
from lcphone_async.audit import audit

async def main(url, store):
    async with LCPhoneClient("t", base_url=url, limiter=RateLimiter(10_000)) as client:
        ids = [f"loc{i}" for i in range(25)]
        print("started", flush=True)
        summary = await audit(client, ids, store, resume=True, concurrency=3)
        assert summary.is_complete, summary

asyncio.run(main(*sys.argv[1:]))
"""


def contents(store, folder):
    """Each table of the newest run, but for its times, as the bytes of an export."""
    folder.mkdir()
    files = {}
    for table in ("numbers", "pools", "pool_numbers", "rcs_sender_ids"):
        export(store, folder / table, "jsonl", table=table)
        files[table] = (folder / table).read_bytes()
    return files


@pytest.mark.exhaustive
def test_killed_at_any_moment(tmp_path, rows):
    """Exports the same bytes as an uninterrupted run after SIGKILLs at random and --resume."""
    dice = random.Random(7)  # noqa: S311  # chance, not secrets
    with Sandbox(numbers_per_location=2_100, max_requests=10_000).in_thread() as sandbox:
        command = [sys.executable, "-W", "error", "-c", RUN, sandbox.url]
        subprocess.run([*command, tmp_path / "calm"], check=True, stdout=subprocess.DEVNULL)
        kills, codes = 0, []
        while not codes or codes[-1] != 0:
            wait = dice.uniform(0, 0.7) if kills < 6 else 60
            process = subprocess.Popen(
                [*command, tmp_path / "killed"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            with process:
                process.stdout.readline()
                try:
                    process.wait(wait)
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills += 1
                errors = process.stderr.read()
            codes.append(process.returncode)
            assert codes[-1] in {0, -9}, errors
    assert kills > 0
    assert contents(tmp_path / "killed", tmp_path / "a") == contents(
        tmp_path / "calm", tmp_path / "b"
    )
    steady = "SELECT * EXCLUDE (finished_at, seconds) FROM locations ORDER BY position"
    assert rows(steady, tmp_path / "killed") == rows(steady, tmp_path / "calm")
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {"killed.wal", "calm.wal"} == {"killed", "calm", "a", "b"}


async def test_what_failed_is_tried_again(take, rows, agency):
    """Visits partial and failed locations again, but not complete or unconnected ones."""
    agency.places |= {one: Place([number(f"+1212555000{one}")]) for one in "123"}
    agency.errors |= {"2": 403, "3": 404}
    await take(agency, ["1", "2", "3"])
    del agency.errors["2"]
    agency.skipped_pools.clear()
    summary = await take(agency, None, resume=True)
    assert len(agency.skipped_pools) == 1
    assert summary.run_id == 1
    assert summary.coverage == {Coverage.COMPLETE: 2, Coverage.NOT_CONNECTED: 1}
    assert rows("SELECT phone_number FROM numbers ORDER BY ALL") == [
        ("+12125550001",),
        ("+12125550002",),
    ]


@pytest.mark.exhaustive
async def test_a_partial_location_is_replaced_as_a_whole(take, rows):
    """Has a location's numbers, pools and senders once after its second walk."""
    gone = Fault(operation="active", nth=3, status=404)
    async with Sandbox(numbers_per_location=4_500, faults=[gone]) as sandbox:
        first = await take(sandbox, ["a"])
        second = await take(sandbox, None, resume=True)
    assert first.coverage == {Coverage.PARTIAL: 1}
    assert second.coverage == {Coverage.COMPLETE: 1}
    assert rows("SELECT count(*), count(DISTINCT phone_number) FROM numbers") == [(4_500, 4_500)]
    assert rows("SELECT count(*) FROM pools") == [(2,)]
    assert rows("SELECT count(*) FROM rcs_sender_ids") == [(1,)]


async def test_what_was_seen_is_not_lost_to_a_failure(take, rows):
    """Keeps a partial location if the second walk sees nothing of it."""
    gone = Fault(operation="active", nth=3, status=404)
    async with Sandbox(numbers_per_location=4_500, faults=[gone]) as sandbox:
        await take(sandbox, ["a"])
        before = rows("SELECT count(*) FROM numbers")
        sandbox.faults.append(Fault(status=403))
        summary = await take(sandbox, None, resume=True)
    assert summary.coverage == {Coverage.PARTIAL: 1}
    assert rows("SELECT count(*) FROM numbers") == before != [(0,)]


async def test_new_locations_join_the_run(take, rows, agency):
    """Adds the locations that the run does not have, and keeps those that it has."""
    agency.places |= {one: Place([number(f"+1212555000{one}")]) for one in "123"}
    await take(agency, ["1", "2"])
    summary = await take(agency, ["2", "3"], resume=True)
    assert summary.run_id == 1
    assert rows("SELECT location_id FROM locations ORDER BY position") == [("1",), ("2",), ("3",)]
    assert rows("SELECT count(*) FROM numbers") == [(3,)]


async def test_nothing_to_resume(take, agency):
    """Begins a run if there is none, and needs locations for that."""
    with pytest.raises(StoreError, match="no run to resume"):
        await take(agency, None, resume=True)
    agency.places["1"] = Place([number("+12125550001")])
    summary = await take(agency, ["1"], resume=True)
    assert (summary.run_id, summary.is_complete) == (1, True)


async def test_without_resume_a_new_run_begins(take, rows, agency):
    """Keeps the runs before, each with its own rows."""
    agency.places["1"] = Place([number("+12125550001")])
    await take(agency, ["1"])
    agency.places["1"].numbers.append(number("+12125550002"))
    summary = await take(agency, ["1"])
    assert summary.run_id == 2
    assert rows("SELECT count(*) FROM numbers", run_id=1) == [(1,)]
    assert rows("SELECT count(*) FROM numbers", run_id=2) == [(2,)]
