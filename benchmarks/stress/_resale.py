"""A sandbox that sells a number to every request that asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from lcphone_async.sandbox import Location, Stock


@contextmanager
def selling_again() -> Iterator[None]:
    """Nothing but the client keeps a number from being paid for twice.

    A replay, which comes in the same step of the loop, is refused as the service refuses it: what
    a proxy does is not the client's fault.
    """
    take = Stock.take

    def take_for_a_step(stock: Stock, phone_number: str) -> None:
        take(stock, phone_number)
        asyncio.get_running_loop().call_soon(stock._taken.discard, phone_number)  # noqa: SLF001

    with (
        patch.object(Stock, "take", take_for_a_step),
        patch.object(Location, "has_added", lambda *_: False),
    ):
        yield
