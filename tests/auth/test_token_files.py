"""A token file: who may read it, what counts as empty, and how it is mounted."""

import asyncio
import json
from contextlib import suppress

import pytest

from lcphone_async import FileTokenStore, TokenUnavailableError
from lcphone_async.auth.refresh_marker import is_marked
from support.file_modes import modes, needs_modes, umask
from support.mounts import mounted, read_only
from support.oauth_app import HOUR

BLANK = ["", " ", "\n", " \t\r\n", "\ufeff", "\ufeff\n"]


@needs_modes
@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o277, 0o777])
async def test_a_new_file(v3, tmp_path, mask):
    """Has mode 0600, as its lock has, whatever the umask and the mode of a draft that was left."""
    path = tmp_path / "tokens.json"
    (tmp_path / "tokens.json.new").touch(mode=0o644)
    with umask(mask):
        async with v3.client(v3.tokens(store=FileTokenStore(path))) as client:
            await client.number_pools("loc1")
    assert modes(tmp_path) == {"tokens.json": 0o600, "tokens.json.lock": 0o600}
    assert "refresh_token" in json.loads(path.read_text())


@needs_modes
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o777, 0o604])
async def test_a_file_that_others_may_read(tmp_path, mode):
    """Is taken from them as soon as it is read."""
    path = tmp_path / "tokens.json"
    path.write_text("text")
    path.chmod(mode)
    assert await FileTokenStore(path).load() == "text"
    assert modes(tmp_path)["tokens.json"] & 0o077 == 0


async def test_a_file_that_others_may_read_on_a_read_only_mount(tmp_path):
    """Is read as it is."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "tokens.json"
    path.write_text("text")
    path.chmod(0o644)
    with read_only(path.parent):
        assert await FileTokenStore(path).load() == "text"


@pytest.mark.parametrize("text", BLANK)
async def test_a_blank_file(v3, tmp_path, text):
    """Counts as empty: the refresh token that was given is used, and the file is written."""
    path = tmp_path / "tokens.json"
    path.write_text(text, encoding="utf-8")
    grant = v3.oauth.install("loc1")
    for _ in range(2):
        async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
            await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


@pytest.mark.parametrize("text", BLANK)
async def test_a_store_over_a_blank_file(tmp_path, text):
    """Holds nothing, and takes a first text."""
    path = tmp_path / "tokens.json"
    path.write_text(text, encoding="utf-8")
    store = FileTokenStore(path)
    assert await store.load() is None
    assert not await store.replace(text, "wrong")
    assert await store.replace(None, "first")
    assert await store.load() == "first"


KEPT = b'{"access_token": "a", "refresh_token": "kept-token", "expires_at": 1, "due_at": 1}'
NO_TOKENS = {
    "NULs": b"\0" * 300,
    "NULs at its end": KEPT[:40] + b"\0" * 40,
    "NULs after it": KEPT + b"\0",
    "cut off": KEPT[:40],
    "null": b"null",
    "an object": b"{}",
    "an array": b"[]",
    "a number": b"5",
    "no UTF-8": b"\xff" + KEPT,
    "UTF-16": KEPT.decode().encode("utf-16"),
}


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("held", NO_TOKENS.values(), ids=list(NO_TOKENS))
async def test_a_file_that_is_damaged(v3, tmp_path, held, given):
    """Names the file and says what to do, sends nothing, and leaves the file as it is."""
    path = tmp_path / "tokens.json"
    path.write_bytes(held)
    options = {} if given else {"refresh_token": None}
    async with v3.client(v3.tokens(store=FileTokenStore(path), **options)) as client:
        with pytest.raises(TokenUnavailableError) as caught:
            await client.number_pools("loc1")
    assert f"the token file '{path}' holds something else than tokens: delete it" in str(
        caught.value
    )
    assert "kept-token" not in repr(caught.value.__context__)
    assert path.read_bytes() == held
    assert {file.name for file in tmp_path.iterdir()} <= {"tokens.json", "tokens.json.lock"}
    assert v3.asked() == 0


async def test_a_damaged_file_that_was_deleted(v3, tmp_path):
    """Goes on with the refresh token that was given."""
    path = tmp_path / "tokens.json"
    path.write_bytes(b"\0" * 300)
    grant = v3.oauth.install("loc1")
    async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
        with pytest.raises(TokenUnavailableError):
            await client.number_pools("loc1")
    path.unlink()
    async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_a_file_that_is_damaged_during_a_refresh(v3, tmp_path):
    """Keeps the new tokens in memory, leaves the file, and stores them once it was deleted."""
    path = tmp_path / "tokens.json"

    class Damaged(FileTokenStore):
        is_new = True

        async def replace(self, old, new):
            if self.is_new and not is_marked(new):
                self.is_new = False
                path.write_bytes(b"\0" * 300)
            return await super().replace(old, new)

    async with v3.client(v3.tokens(store=Damaged(path))) as client:
        with pytest.raises(TokenUnavailableError, match=r"in memory only.*something else than"):
            await client.number_pools("loc1")
        assert path.read_bytes() == b"\0" * 300
        path.unlink()
        async with asyncio.timeout(30):
            while not path.exists() or is_marked(path.read_text()):
                await asyncio.sleep(0.01)
            while True:  # the call fails as before until the run that stored them has ended
                with suppress(TokenUnavailableError):
                    await client.number_pools("loc1")
                    break
                await asyncio.sleep(0.01)
    assert v3.outcomes() == ["issued"]


async def test_an_empty_file_and_no_refresh_token(v3, tmp_path):
    """Names the file, and says to authorize the app."""
    path = tmp_path / "tokens.json"
    path.touch()
    async with v3.client(v3.tokens(refresh_token=None, store=FileTokenStore(path))) as client:
        with pytest.raises(TokenUnavailableError, match=f"'{path}' holds none: authorize the app"):
            await client.number_pools("loc1")
    assert path.read_bytes() == b""


@pytest.mark.parametrize("is_used", [False, True])
async def test_a_file_that_is_mounted_by_itself(v3, tmp_path, clock, is_used):
    """Uses up no refresh token, says to mount the folder, and leaves no token behind."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path, grant = folder / "tokens.json", v3.oauth.install("loc1")
    if is_used:
        async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
            await client.number_pools("loc1")
        clock.now += HOUR
    path.touch()
    before = path.read_text()
    (tmp_path / "outside").write_text(before)
    with mounted(path, "--bind", tmp_path / "outside"):
        async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
            with pytest.raises(TokenUnavailableError, match=r"mount its folder.*tokens\.json'"):
                await client.number_pools("loc1")
        assert path.read_text() == before
        assert {file.name for file in folder.iterdir()} == {"tokens.json", "tokens.json.lock"}
    assert len(v3.outcomes()) == is_used


async def test_a_folder_that_cannot_be_written(tmp_path):
    """Names the token file and says what it needs, though its lock fails first."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with read_only(folder), pytest.raises(OSError, match=r"needs a folder.*tokens\.json'"):
        async with FileTokenStore(folder / "tokens.json").lock():
            pass


async def test_a_folder_that_is_not_there(tmp_path):
    """Names the token file."""
    with pytest.raises(OSError, match=r"No such file or directory: '.*none/tokens\.json'"):
        await FileTokenStore(tmp_path / "none" / "tokens.json").replace(None, "text")


async def test_a_draft_that_cannot_be_written(tmp_path, monkeypatch):
    """Leaves nothing with a token in it when the disk fails in the middle."""

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match=r"Input/output error: '.*tokens\.json'"):
        await FileTokenStore(tmp_path / "tokens.json").replace(None, "the tokens")
    assert list(tmp_path.iterdir()) == []
