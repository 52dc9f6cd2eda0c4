"""Whether the service shows a number: in the location's list, or for sale."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from attrs import evolve

from .. import _wire
from .._http.body import decoded
from .._http.calls import Calls
from .._internal import checks
from .._lists.walk import Walk, walk_pages
from .._wire import requests
from ..errors import IncompleteListError, NumberUnavailableError
from ..models import AvailableNumbers

if TYPE_CHECKING:
    from .._wire.requests import Request

_PAGE_SIZE = 1000


async def is_listed(calls: Calls, location_id: str, phone_number: str) -> bool:
    """Whether the location has the number, be it in a pool or not."""

    def request(page: int, page_size: int) -> Request:
        return requests.active_numbers(
            location_id,
            page=page,
            page_size=page_size,
            search_filter=phone_number,
            skip_number_pool=False,
            include_rcs_sender_ids=None,
        )

    walk = walk_pages(
        calls.send, request, Walk(request(0, _PAGE_SIZE).path, _PAGE_SIZE), lambda _: 0
    )
    is_filtered = True
    try:
        async with aclosing(walk) as pages:
            async for page in pages:
                if any(listed.phone_number == phone_number for listed in page.numbers):
                    return True
                is_filtered = is_filtered and not page.numbers
    except IncompleteListError:
        if not is_filtered:
            raise
        # The total is that of the list without the filter.
    return False


async def find_available(
    calls: Calls, location_id: str, phone_number: str, country_code: str
) -> AvailableNumbers:
    """Returns a search's result with the one number; `NumberUnavailableError` if it has it not."""
    search = requests.available_numbers(
        location_id,
        country_code,
        number_types=("local", "tollFree", "mobile"),
        last_part=checks.national_digits(phone_number),
    )
    answer = await calls.send(search)
    found = await decoded(_wire.responses.available_numbers, search, answer)
    numbers = tuple(each for each in found.numbers if each.phone_number == phone_number)
    if not numbers:
        raise NumberUnavailableError(
            404, "no search shows the number", method=search.method, path=search.path
        )
    return evolve(found, numbers=numbers)
