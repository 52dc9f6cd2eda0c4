"""A disk that is full before a purchase is sent, or after: a real one, of half a megabyte."""

import asyncio
import contextlib

import pytest

from lcphone_async import JournalUnavailableError, PurchaseOutcomeUnknownError
from lcphone_async.sandbox import Fault
from support.mounts import Disk, mounted
from support.shop import NUMBER, PLACE, HeldJournal, Shop
from support.until import until


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=512k", "tmpfs"):
        yield Disk(folder)


@pytest.fixture
async def shop(disk):
    async with Shop(disk.folder / "purchases.db") as shop:
        yield shop


def leave_no_room(disk, journal):
    """Fills the disk, and checkpoints, so that the next write needs room."""
    journal._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    disk.fill()


async def test_full_before_it_is_sent(shop, disk):
    """Raises `JournalUnavailableError`, sends nothing, and buys once there is room again."""
    await shop.journal._run(leave_no_room, disk, shop.journal)
    client = shop.client()
    with pytest.raises(JournalUnavailableError, match="full"):
        await client.purchase(PLACE, NUMBER)
    assert (shop.posts, shop.paid) == (0, [])
    disk.free()
    await client.purchase(PLACE, NUMBER)
    assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])


@pytest.mark.exhaustive
async def test_full_after_it_was_sent(shop, disk):
    """Raises `PurchaseOutcomeUnknownError`, and `reconcile` tells once there is room again."""
    on_its_way = Fault(operation="purchase", point="after", delay=0.5)
    shop.fails(on_its_way)
    client = shop.client()
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    await until(lambda: shop.paid)
    await shop.journal._run(leave_no_room, disk, shop.journal)
    with pytest.raises(PurchaseOutcomeUnknownError, match="full"):
        await buying
    assert shop.paid == [NUMBER]
    disk.free()
    with contextlib.closing(HeldJournal(shop.path)) as journal:
        reopened = shop.client(journal=journal)
        assert [record.state for record in await reopened.reconcile()] == ["bought"]
