"""Second look: a search for each number that a run lacks, before the number counts as gone.

A number can be missing from a list that shifted during the walk. Only a search for that number,
which has one page, shows that it is gone.
"""

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
    """Searches a location for one number; returns an empty list if it is gone.

    Returns `None` if the response has other numbers, as the service then ignored the filter.
    """
    page = await client.active_numbers_page(
        location_id, page_size=_PAGE_SIZE, search_filter=phone_number, skip_number_pool=False
    )
    found = [number for number in page.numbers if number.phone_number == phone_number]
    is_filtered = all(phone_number in number.phone_number for number in page.numbers)
    return found if found or is_filtered else None


async def confirm_missing(search: SearchFor, store: Store, run_id: int, concurrency: int) -> None:
    """Searches for the numbers that a run lacks, and records the results in the store.

    If a search fails, the rest of the location's numbers stay "not seen". Raises the errors in
    `FATAL_ERRORS`.
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
                    listed = await search(location_id, phone_number)
                    if listed:
                        found.append(listed[0])
                    elif listed is not None:
                        gone.append(phone_number)
            except FATAL_ERRORS:
                raise
            except Exception:  # noqa: BLE001, S110  # the numbers stay "not seen"
                pass
            async with writing:  # a DuckDB connection serves one thread at a time
                await finished_in_thread(
                    partial(store.record_searches, run_id, location_id, gone, found)
                )

    async with OwnTasks() as tasks:
        await asyncio.gather(*(tasks.start(work()) for _ in range(min(concurrency, len(missing)))))
