"""Files that hold purchases: who may read them, and where they can be read."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import suppress

import pytest

from lcphone_async import FileTokenStore, PurchaseJournal
from lcphone_async.audit import StoreError
from lcphone_async.audit.store import Store
from lcphone_async.journal import PurchaseRecord, read_records
from support.file_modes import mode, modes, needs_modes, umask
from support.mounts import read_only

pytestmark = needs_modes

LEFT_OPEN = """
import asyncio, os, sys
from lcphone_async import PurchaseJournal
from lcphone_async.journal import PurchaseRecord

async def main():
    journal, record = PurchaseJournal(sys.argv[1]), PurchaseRecord.new("loc1", "+18305551234")
    await journal.begin(record, await journal.past("loc1", "+18305551234"))
    os._exit(0)

asyncio.run(main())
"""


@pytest.fixture
def left_open(tmp_path):
    """A journal with one purchase whose process was killed, so that -wal and -shm are left."""
    path = tmp_path / "purchases.db"
    subprocess.run([sys.executable, "-c", LEFT_OPEN, path], check=True)
    assert {file.name for file in tmp_path.iterdir()} == {
        "purchases.db",
        "purchases.db-wal",
        "purchases.db-shm",
    }
    return path


async def begin(journal):
    record = PurchaseRecord.new("loc1", "+18305551234")
    await journal.begin(record, await journal.past("loc1", "+18305551234"))


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o277, 0o777])
async def test_a_new_journal(tmp_path, mask):
    """Has mode 0600 in all its files, whatever the umask."""
    with umask(mask), PurchaseJournal(tmp_path / "purchases.db") as journal:
        await begin(journal)
        found = modes(tmp_path)
    assert set(found) == {"purchases.db", "purchases.db-wal", "purchases.db-shm"}
    assert set(found.values()) == {0o600}


async def load_tokens(path):
    await FileTokenStore(path).load()


async def open_journal(path):
    PurchaseJournal(path)


async def read_journal(path):
    read_records(path)


async def open_store(path):
    Store(path)


@pytest.mark.parametrize("use", [load_tokens, open_journal, read_journal, open_store])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
async def test_what_is_no_file(tmp_path, kind, use):
    """Is refused, and keeps its mode: a device is everybody's."""
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        try:
            os.mknod(path, stat.S_IFCHR, os.makedev(1, 3))  # as /dev/null is
        except PermissionError:
            pytest.skip("only root may make devices")
    path.chmod(0o777)
    with pytest.raises((OSError, StoreError), match="it is not a file"):
        await use(path)
    assert mode(path) == 0o777


def test_a_journal_that_others_may_read(left_open):
    """Is taken from them when it is opened, with what a killed process left beside it."""
    for file in left_open.parent.iterdir():
        file.chmod(0o666)
    with PurchaseJournal(left_open):
        assert set(modes(left_open.parent).values()) == {0o600}


async def test_a_second_journal_on_the_same_file(tmp_path):
    """Leaves the first one's locks alone."""
    path = tmp_path / "purchases.db"
    with PurchaseJournal(path) as first:
        path.chmod(0o644)
        first._database.execute("BEGIN IMMEDIATE")
        with sqlite3.connect(path, timeout=0, isolation_level=None) as probe:
            PurchaseJournal(path).close()
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                probe.execute("BEGIN IMMEDIATE")
        probe.close()
        first._database.execute("ROLLBACK")


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_symbolic_link(tmp_path, ending, is_there):
    """Is not followed: what it points to is neither made nor changed."""
    path, other = tmp_path / "purchases.db", tmp_path / "other"
    path.with_name(path.name + ending).symlink_to(other)
    if is_there:
        other.write_text("of somebody else")
        other.chmod(0o644)
    if ending:
        with suppress(OSError, sqlite3.Error):  # SQLite may remove one that is older than its file
            PurchaseJournal(path).close()
    else:
        with pytest.raises(OSError, match="symbolic links are not followed"):
            PurchaseJournal(path)
    assert [mode(file) for file in tmp_path.glob("other")] == [0o644] * is_there
    assert not is_there or other.read_text() == "of somebody else"


def test_a_file_that_is_no_journal(tmp_path):
    """Is left as it is, its mode too."""
    path = tmp_path / "purchases.db"
    path.write_text("not a database, and long enough to tell\n" * 99)
    path.chmod(0o644)
    with pytest.raises(sqlite3.DatabaseError):
        PurchaseJournal(path)
    assert mode(path) == 0o644


def test_reading_a_journal_that_is_closed(left_open):
    """Works on a read-only mount."""
    PurchaseJournal(left_open).close()
    assert not left_open.with_name("purchases.db-wal").exists()
    with read_only(left_open.parent):
        assert len(read_records(left_open)) == 1


def test_reading_a_journal_that_was_left_open(left_open):
    """Shows what is in the -wal only, on a read-only mount."""
    with read_only(left_open.parent):
        assert len(read_records(left_open)) == 1


def test_reading_a_copy_without_its_shm(left_open):
    """Shows what is in the -wal only, on a read-only mount, and leaves the copy as it is."""
    left_open.with_name("purchases.db-shm").unlink()
    with read_only(left_open.parent):
        assert len(read_records(left_open)) == 1


async def test_reading_a_journal_in_use(tmp_path):
    """Shows what another process writes, seen through a read-only mount."""
    folder, seen = tmp_path / "journal", tmp_path / "seen"
    folder.mkdir()
    with PurchaseJournal(folder / "purchases.db") as journal, read_only(folder, at=seen):
        assert read_records(seen / "purchases.db") == []
        await begin(journal)
        assert len(read_records(seen / "purchases.db")) == 1


def test_reading_nothing(tmp_path):
    """Has no purchases in an empty file, and raises `OSError` for none and for a link."""
    (tmp_path / "empty.db").touch()
    assert read_records(tmp_path / "empty.db") == []
    (tmp_path / "link.db").symlink_to(tmp_path / "empty.db")
    for name in ("none.db", "link.db"):
        with pytest.raises(OSError, match=name):
            read_records(tmp_path / name)
