"""The mark in a token store that a refresh is under way: a lock that is lost does not end it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from attrs import define, evolve

from .._internal.tasks import OwnTasks
from .stores import TokenStore
from .tokens import TokenPair

# Seconds between two looks at another's mark.
_LOOK_AGAIN = 0.1

# Seconds for taking the mark off after a refresh that failed; its lease ends by itself.
_REMOVAL_WAIT = 1.0


@define
class RefreshMarker:
    """A mark on the text of a store; `text` is the text as this process wrote it last."""

    _replace: Callable[[str | None, str], Awaitable[bool]]
    _pair: TokenPair
    text: str | None

    async def put(self) -> bool:
        """Puts the mark on the text, or a new mark in its place; `False` if the text changed."""
        marked = evolve(self._pair, refreshing=secrets.token_hex(8)).to_text()
        if not await self._replace(self.text, marked):
            return False
        self.text = marked
        return True

    @asynccontextmanager
    async def kept(self, lease: float) -> AsyncIterator[None]:
        """Renews the mark until the refresh has ended; takes it off if the refresh failed."""
        try:
            async with OwnTasks() as tasks:
                if lease:
                    tasks.start(self._renew(lease / 3))
                yield
        except BaseException:
            with suppress(Exception):
                async with asyncio.timeout(_REMOVAL_WAIT):
                    await self._replace(self.text, evolve(self._pair, refreshing=None).to_text())
            raise

    async def _renew(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            with suppress(Exception):  # out of reach now, and perhaps not at the next try
                if not await self.put():
                    return  # another process took over, or the store was emptied


def lease_of(store: TokenStore) -> float:
    """Seconds for which another's mark is respected: 0 if only a dead process loses the lock."""
    lease: float = getattr(store, "lease", 0.0)
    return lease


async def wait_until_unmarked(store: TokenStore) -> str | None:
    """Returns the store's text once no other refresh is under way, or its mark is out of date.

    A mark is out of date if it stayed the same for the lease, by this process' own clock. While the
    store does not answer, the other process cannot renew it: that time does not count.
    """
    now, lease = asyncio.get_running_loop().time, lease_of(store)
    text, since = await store.load(), now()
    while is_marked(text) and now() < since + lease:
        await asyncio.sleep(_LOOK_AGAIN)
        asked = now()
        newer = await store.load()
        if newer != text or now() > asked + lease / 3:
            text, since = newer, now()
    return text


def is_marked(text: str | None) -> bool:
    """Whether the text says that a refresh is under way."""
    return text is not None and TokenPair.from_text(text).refreshing is not None
