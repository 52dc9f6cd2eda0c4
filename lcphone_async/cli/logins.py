"""Logins of `lcphone login`: in the system's keyring if there is one, else in files of mode 0600.

Each base URL has its own login, so that a token is never sent to another service.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import click
from attrs import frozen

from .._internal.secrets import Secret
from ..auth import AgencyTokens, FileTokenStore, OAuthTokens, TokenSource, TokenStore
from .folders import user_folder
from .output import one_line, os_error_text

_SERVICE = "lcphone"
_SECRETS = {"token", "client_secret"}

_KEEP_ELSEWHERE = "set HOME to a writable folder, or put the token into LCPHONE_TOKEN"

_PROBE_TEXT = "a test if a login can be kept here"

# Bytes that any login or tokens fit into. A keyring may accept less, so its test is short.
_PROBE_SIZE = 16_384


@frozen
class Login:
    """A login at one base URL."""

    place: str
    """`the keyring`, or the path of the file."""
    fields: dict[str, Any]
    """A `token`, or the `client_id` and `client_secret` of an app; `company_id` of an agency."""
    _store: TokenStore
    """Store of the app's tokens."""

    @classmethod
    def load(cls, base_url: str) -> Login | None:
        """Returns the login for a base URL; `None` if there is no login."""
        for place in _places(base_url):
            text = None
            with suppress(NotADirectoryError):  # the folder does not exist
                text = asyncio.run(place.login.load())
            if text is not None:
                return cls(str(place), _read(text, place), place.tokens)
        return None

    @staticmethod
    @contextmanager
    def explaining_errors() -> Iterator[None]:
        """Raises errors of files as `click.ClickException` with advice."""
        try:
            yield
        except OSError as error:
            if error.filename is None:
                raise  # from the keyring, which is in the message
            problem = os_error_text(error)
        else:
            return
        raise click.ClickException(one_line(f"no login can be kept: {problem}: {_KEEP_ELSEWHERE}"))

    @staticmethod
    def probe(base_url: str) -> None:
        """Tests if a login can be kept, and changes nothing; raises `OSError` if not."""
        place = _places(base_url)[0]

        async def write() -> None:
            async with _probed(place.login), _probed(place.tokens):
                pass  # both at once, as both must fit on the disk

        asyncio.run(write())

    @classmethod
    def keep(cls, base_url: str, fields: dict[str, Any], tokens: str | None) -> Login:
        """Stores a login with the tokens of its app; deletes any other login of the base URL."""
        first, *others = _places(base_url)

        async def write() -> None:
            await _replace(first.tokens, tokens)
            await _replace(first.login, Secret(json.dumps(fields)))
            for other in others:
                other.login.forget()
                other.tokens.forget()

        asyncio.run(write())
        return cls(str(first), fields, first.tokens)

    def tokens(self) -> TokenSource | str:
        """Returns its token source, or its token."""
        source: TokenSource | str
        if "token" in self.fields:
            source = Secret(self.fields["token"])
        else:
            app = {name: self.fields[name] for name in ("client_id", "client_secret")}
            source = OAuthTokens(**app, store=self._store)
        if self.fields.get("company_id"):
            return AgencyTokens(company_id=self.fields["company_id"], source=source)
        return source


class _File(FileTokenStore):
    """Text in a file of the user's settings folder, which is created when needed."""

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with super().lock():
            yield

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


class _Keyring:
    """Text in the system's keyring, with a lock file."""

    def __init__(self, keyring: ModuleType, name: str, lock: FileTokenStore) -> None:
        self._keyring = keyring
        self._name = name
        self._lock = lock

    def lock(self) -> AbstractAsyncContextManager[None]:
        return self._lock.lock()

    async def load(self) -> str | None:
        text = await asyncio.to_thread(self._call, "get_password")
        return None if text is None else Secret(text)

    async def replace(self, old: str | None, new: str) -> bool:
        if await self.load() != old:
            return False
        await asyncio.to_thread(self._call, "set_password", Secret(new))
        return True

    def forget(self) -> None:
        if self._call("get_password") is not None:
            self._call("delete_password")

    def _call(self, operation: str, *values: str) -> Any:
        try:
            return getattr(self._keyring, operation)(_SERVICE, self._name, *values)
        except Exception as error:  # noqa: BLE001  # backends raise errors of any class
            problem = f"the keyring: {str(error) or type(error).__name__}"
        raise OSError(problem)


@frozen
class _Place:
    """A place for a base URL's login and tokens: the keyring or two files."""

    name: str
    login: _File | _Keyring
    tokens: _File | _Keyring

    def __str__(self) -> str:
        return self.name


def _places(base_url: str) -> list[_Place]:
    """Returns the places for a login, the preferred one first."""
    folder = user_folder() / "logins"
    stem = f"{urlsplit(base_url).hostname}-{hashlib.sha256(base_url.encode()).hexdigest()[:8]}"
    login, tokens = (_File(folder / f"{stem}.{purpose}.json") for purpose in ("login", "tokens"))
    places = [_Place(str(login.path), login, tokens)]
    if (keyring := _usable_keyring()) is not None:
        held = _Keyring(keyring, base_url, login), _Keyring(keyring, f"{base_url} tokens", tokens)
        places.insert(0, _Place("the keyring", *held))
    return places


def _usable_keyring() -> ModuleType | None:
    """Returns the package `keyring` if it is installed and has a safe backend."""
    if find_spec("keyring") is None:
        return None
    try:
        import keyring

        return keyring if keyring.get_keyring().priority >= 1 else None
    except Exception as error:  # noqa: BLE001  # backends raise errors of any class
        problem = f"the keyring cannot be used: {str(error) or type(error).__name__}"
    raise click.ClickException(
        one_line(f"{problem}: check PYTHON_KEYRING_BACKEND, or set LCPHONE_TOKEN")
    )


@asynccontextmanager
async def _probed(store: _File | _Keyring) -> AsyncIterator[None]:
    """Stores a test text, or the stored text again; restores the store at the end."""
    probe_text = _PROBE_TEXT.ljust(_PROBE_SIZE) if isinstance(store, _File) else _PROBE_TEXT
    async with store.lock():
        stored = await store.load()
        await store.replace(stored, probe_text if stored is None else stored)
        try:
            yield
        finally:
            if stored is None:
                store.forget()


async def _replace(store: _File | _Keyring, text: str | None) -> None:
    async with store.lock():
        if text is None:
            store.forget()
        else:
            await store.replace(await store.load(), text)


def _read(text: str, place: _Place) -> dict[str, Any]:
    fields: Any = None
    with suppress(ValueError, RecursionError):
        fields = json.loads(text)
    if _is_login(fields):
        return {
            name: Secret(value) if name in _SECRETS else value for name, value in fields.items()
        }
    raise click.ClickException(f"{place} has no valid login: run `lcphone login` again")


def _is_login(fields: Any) -> bool:
    """True if all fields are text, with a token or an app."""
    if not isinstance(fields, dict) or not all(isinstance(v, str | None) for v in fields.values()):
        return False
    return bool(fields.get("token") or (fields.get("client_id") and fields.get("client_secret")))
