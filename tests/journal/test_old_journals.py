"""Journals that an earlier version made: what is in them is neither lost nor bought again."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from lcphone_async import (
    LCPhoneClient,
    NumberAlreadyOwnedError,
    PurchaseInProgressError,
    PurchaseJournal,
)
from lcphone_async.journal import read_records
from lcphone_async.redis import RedisPurchaseJournal
from support.mounts import read_only

# As the version of 26 November made it.
SCHEMA = """
CREATE TABLE purchases (
    id TEXT PRIMARY KEY, location_id TEXT NOT NULL, phone_number TEXT NOT NULL,
    fingerprint_id TEXT, order_id TEXT, state TEXT NOT NULL, reason TEXT,
    sent_at TEXT NOT NULL, changed_at TEXT NOT NULL
);
CREATE UNIQUE INDEX one_open_purchase_a_number
    ON purchases (location_id, phone_number) WHERE state IN ('sending', 'unknown');
CREATE INDEX purchases_of_a_number ON purchases (location_id, phone_number);
"""
OPEN, BOUGHT = "+13126994095", "+18444038427"  # for sale in every sandbox


COLUMNS = (
    "id",
    "location_id",
    "phone_number",
    "fingerprint_id",
    "order_id",
    "state",
    "reason",
    "sent_at",
    "changed_at",
)


def old_rows():
    """An open purchase and a finished one."""
    now = datetime.now(UTC)
    return [
        ("a", "loc1", BOUGHT, "f", None, "bought", None, *[(now - timedelta(1)).isoformat()] * 2),
        ("b", "loc1", OPEN, "f", "order", "sending", None, *[now.isoformat()] * 2),
    ]


@pytest.fixture
def old(tmp_path):
    """A journal of before with an open purchase and a finished one."""
    path = tmp_path / "purchases.db"
    rows = old_rows()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(SCHEMA)
        database.executemany(f"INSERT INTO purchases VALUES ({', '.join('?' * 9)})", rows)  # noqa: S608
    return path


def told(records):
    return [(record.phone_number, str(record.state)) for record in records]


def test_an_old_journal_is_read(old):
    """Shows its purchases, also on a read-only mount, where it stays as it is."""
    with read_only(old.parent):
        assert told(read_records(old)) == [(BOUGHT, "bought"), (OPEN, "sending")]


@pytest.mark.exhaustive
async def test_an_old_journal_is_used(old, lcphone_sandbox):
    """Holds its purchases as before, buys none of them again, and finds out about the open one."""
    location = lcphone_sandbox.location("loc1")
    for _ in range(2):  # the second time it is an old one no more
        with PurchaseJournal(old) as journal:
            assert told(await journal.records()) == [(BOUGHT, "bought"), (OPEN, "sending")]
    with PurchaseJournal(old) as journal:
        async with LCPhoneClient("t", base_url=lcphone_sandbox.url, journal=journal) as client:
            with pytest.raises((PurchaseInProgressError, NumberAlreadyOwnedError)):
                await client.purchase("loc1", OPEN)
            location.add(OPEN)
            (found,) = await client.reconcile()
            assert told([found]) == [(OPEN, "bought")]
            assert await client.reconcile() == []
    assert not lcphone_sandbox.ledger


@pytest.mark.exhaustive
async def test_an_old_journal_in_redis_is_used(lcphone_sandbox, redis_server):
    """Holds its purchases as before, buys none of them again, and finds out about the open one."""
    location = lcphone_sandbox.location("loc1")
    async with Redis(port=redis_server.port) as redis:
        await redis.flushall()
        bought, is_open = (json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in old_rows())
        await redis.hset("{lcphone:purchases}:settled", "a", bought)
        await redis.hset("{lcphone:purchases}:bought", f"loc1 {BOUGHT}", bought)
        await redis.hset("{lcphone:purchases}:open", f"loc1 {OPEN}", is_open)
        journal = RedisPurchaseJournal(redis)
        assert told(await journal.records()) == [(BOUGHT, "bought"), (OPEN, "sending")]
        assert (await journal.past("loc1", BOUGHT)).bought.id == "a"
        async with LCPhoneClient("t", base_url=lcphone_sandbox.url, journal=journal) as client:
            with pytest.raises((PurchaseInProgressError, NumberAlreadyOwnedError)):
                await client.purchase("loc1", OPEN)
            location.add(OPEN)
            (found,) = await client.reconcile()
            assert told([found]) == [(OPEN, "bought")]
            assert await client.reconcile() == []
    assert not lcphone_sandbox.ledger
