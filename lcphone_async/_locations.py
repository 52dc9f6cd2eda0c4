"""The walk over the locations where an app is installed."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from attrs import define, field

from . import _wire
from ._bodies import understood
from ._calls import Calls
from .errors import IncompleteListError, RepeatedPageError
from .models import Location

if TYPE_CHECKING:
    from ._wire.requests import Request
    from ._wire.token_answers import LocationsPage

# As of the numbers' walk: `_paging.py` says why.
_MOST_STALE_PAGES = 2
_REMEMBERED_PAGES = 64


@define
class LocationsWalk:
    """What a walk knows of the list so far; it does no I/O.

    Each page says where the next one starts, so that there is one at a time. A service may ignore
    where a page is to start, lead back to one that was read, or give a location twice.
    """

    path: str
    page_size: int
    _index: int = -1
    _given: int = 0
    _total: int | None = None
    _stale_pages: int = 0
    _previous: tuple[str, ...] = ()
    _starts: set[str] = field(factory=set)
    _seen: set[str] = field(factory=set)
    _seen_pages: deque[list[str]] = field(factory=deque)

    def accept(self, page: LocationsPage) -> list[Location]:
        """What is new of the next page; raises `RepeatedPageError`."""
        self._index += 1
        fresh = {each.id: each for each in page.locations if each.id not in self._seen}
        ids = tuple(each.id for each in page.locations)
        self._stale_pages = 0 if fresh else self._stale_pages + 1
        leads_back = page.next_start in self._starts
        if (ids and ids == self._previous) or leads_back or self._stale_pages > _MOST_STALE_PAGES:
            raise RepeatedPageError(self.path, self._index)
        self._remember(page, ids, list(fresh))
        return [each for each in fresh.values() if each.is_installed is not False]

    def check_complete(self) -> None:
        """Raises `IncompleteListError` if the last page promised more than came."""
        if self._total is not None and self._given < self._total:
            raise IncompleteListError(self.path, self._given, self._total)

    def _remember(self, page: LocationsPage, ids: tuple[str, ...], fresh: list[str]) -> None:
        self._previous = ids
        self._given += len(fresh)
        self._total = page.total
        if page.next_start is not None:
            self._starts.add(page.next_start)
        self._seen.update(fresh)
        self._seen_pages.append(fresh)
        if len(self._seen_pages) > _REMEMBERED_PAGES:
            self._seen.difference_update(self._seen_pages.popleft())


async def walk_locations(
    calls: Calls, request: Callable[[str], Request], walk: LocationsWalk
) -> AsyncGenerator[Location, None]:
    """The list's locations in its order; `request` gives that of the page from a start on."""
    start: str | None = ""
    while start is not None:
        asked = request(start)
        answer = await calls.send(asked)
        page = await understood(_wire.token_answers.locations, asked, answer, start, walk.page_size)
        for location in walk.accept(page):
            yield location
        start = page.next_start
    walk.check_complete()
