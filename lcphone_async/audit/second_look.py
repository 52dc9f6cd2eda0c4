"""The second look: a search for each number that a run misses, before it counts as gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from .._internal.tasks import OwnTasks, finished_in_thread
from ..client import LCPhoneClient
from ..models import ActiveNumber
from .inventory import FATAL_ERRORS
from .store import Store

SearchFor = Callable[[str, str], Awaitable[Sequence[ActiveNumber] | None]]

_PAGE_SIZE = 1000


async def search_for(
    client: LCPhoneClient, location_id: str, phone_number: str
) -> Sequence[ActiveNumber] | None:
    """Searches a location for one number; returns nothing of it if it is gone.

    Returns `None` if the response does not tell, as it lists numbers that were not searched for.
    """
    page = await client.active_numbers_page(
        location_id, page_size=_PAGE_SIZE, search_filter=phone_number, skip_number_pool=False
    )
    found = [number for number in page.numbers if number.phone_number == phone_number]
    is_filtered = all(phone_number in number.phone_number for number in page.numbers)
    return found if found or is_filtered else None


async def confirm_missing(look: SearchFor, store: Store, run_id: int, concurrency: int) -> None:
    """Looks for the numbers that a run misses, and notes what became of them.

    A search that fails leaves the location's other numbers as not seen; what ends the whole audit
    is raised.
    """
    missing = await finished_in_thread(partial(store.missing_numbers, run_id))
    pending = iter(missing.items())
    writing = asyncio.Lock()

    async def work() -> None:
        for location_id, phone_numbers in pending:
            gone: list[str] = []
            found: list[ActiveNumber] = []
            try:
                for phone_number in phone_numbers:
                    listed = await look(location_id, phone_number)
                    if listed:
                        found.append(listed[0])
                    elif listed is not None:
                        gone.append(phone_number)
            except FATAL_ERRORS:
                raise
            except Exception:  # noqa: BLE001, S110  # they stay not seen
                pass
            async with writing:  # one thread at a time uses the store
                await finished_in_thread(
                    partial(store.record_searches, run_id, location_id, gone, found)
                )

    async with OwnTasks() as tasks:
        await asyncio.gather(*(tasks.start(work()) for _ in range(min(concurrency, len(missing)))))
