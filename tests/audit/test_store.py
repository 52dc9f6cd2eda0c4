"""The store's files: their permissions, and the files beside them."""

from contextlib import closing

import pytest

from lcphone_async.audit import StoreError, export
from lcphone_async.audit.reader import open_run
from lcphone_async.audit.store import Store
from lcphone_async.models import Location
from lcphone_async.sandbox import Sandbox
from support import file_modes
from support.file_modes import mode, modes, needs_modes
from support.mounts import read_only

pytestmark = needs_modes


@pytest.fixture(params=[0, 0o022, 0o777])
def umask(tmp_path, request):
    """A umask, from 0 to 0o777."""
    with file_modes.umask(request.param):
        yield request.param


def test_a_new_store(store, umask):
    """Has mode 0600, its log too, and a folder for the rest that only its owner may enter."""
    with closing(Store(store)) as opened:
        opened.begin_run([Location("a")])
        assert modes(store.parent) == {
            "inventory.duckdb": 0o600,
            "inventory.duckdb.wal": 0o600,
            "inventory.duckdb.tmp": 0o700,
        }
    assert modes(store.parent) == {"inventory.duckdb": 0o600}


@pytest.mark.sample(1)
def test_every_file_while_it_is_written(store, umask):
    """Has no file at any time that others may read: not between two commits, nor beyond memory."""
    seen = {}
    with closing(Store(store)) as opened:
        for _ in range(3):
            opened.begin_run(Location(f"location-{n}" * 9) for n in range(60_000))
            opened._execute("CHECKPOINT")
            seen |= modes(store.parent)
        opened._execute("SET memory_limit = '20MB'")
        opened._execute(
            "CREATE TEMP TABLE spilled AS SELECT random()::VARCHAR FROM range(2_000_000)"
        )
        spilled = list((store.parent / "inventory.duckdb.tmp").iterdir())
        seen |= modes(store.parent)
    assert spilled
    assert {name: found for name, found in seen.items() if found & 0o077} == {}


def test_a_store_that_others_may_read(store):
    """Is taken from them when it is opened to be written."""
    Store(store).close()
    store.chmod(0o644)
    Store(store).close()
    assert mode(store) == 0o600


def test_a_file_that_is_no_store(store):
    """Is not changed, its mode included."""
    store.write_text("important")
    store.chmod(0o644)
    with pytest.raises(StoreError, match="not a store"):
        Store(store)
    assert modes(store.parent) == {"inventory.duckdb": 0o644}


def test_a_store_behind_a_link(store, tmp_path):
    """Is created at the target of the link."""
    kept = tmp_path / "kept"
    kept.mkdir()
    store.symlink_to(kept / "today.duckdb")
    with closing(Store(store)) as opened:
        opened.begin_run([Location("a")])
    assert store.is_symlink()
    assert mode(kept / "today.duckdb") == 0o600


async def test_exports_keep_the_umask(store, take, tmp_path):
    """Are readable for others if the umask allows it; no file is left beside the store."""
    async with Sandbox(numbers_per_location=20) as sandbox:
        await take(sandbox, ["a"])
    with file_modes.umask(0o022):
        export(store, tmp_path / "numbers.csv", "csv")
    assert modes(tmp_path) == {"inventory.duckdb": 0o600, "numbers.csv": 0o644}


async def test_a_store_on_a_read_only_mount(store, take):
    """Can be read there; a run reports in one line that it cannot be written."""
    async with Sandbox(numbers_per_location=20) as sandbox:
        await take(sandbox, ["a"])
        with read_only(store.parent):
            with open_run(store) as run:
                assert run.rows("SELECT count(*) FROM numbers") == [(20,)]
            with pytest.raises(StoreError, match="Read-only file system"):
                await take(sandbox, ["a"])
