"""The walk over an agency's locations, which ends with an error if it may have missed any."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import count
from typing import TYPE_CHECKING

from attrs import define, field

from .. import _wire
from .._http.body import decoded
from ..errors import APIError, IncompleteListError, RepeatedPageError, ResponseFormatError
from ..models import Location

if TYPE_CHECKING:
    from .._wire.requests import Request
    from .._wire.responses import Response
    from .._wire.token_requests import LocationsQuery
    from .._wire.token_responses import LocationsPage

Send = Callable[["Request"], Awaitable["Response"]]

# As for numbers: see `_paging.py`.
_MOST_STALE_PAGES = 2

# A service that has a limit of its own for the size of a page has a round one.
_ROUND = 10


@define
class LocationsWalk:
    """What a walk knows of the list so far; it does no I/O.

    v3 says with each page where the next one starts. If it says so of a full page that it calls the
    last one, the next one is asked for as well. In 2021-07-28 a page starts at an offset. A
    service may read that as the number of a page: so unless its `count` says that all have come,
    the pages 1, 2, … are asked for after the last offset, for the new locations in them.
    """

    query: LocationsQuery
    start: str | None = ""
    """Where the next page starts; `None` after the last one."""
    total: int | None = None
    seen: set[str] = field(factory=set)
    is_cut_off: bool = False
    """Whether there are more, and the last page does not say where."""
    _index: int = -1
    _offset: int = 0
    _number: int = 0
    """The last page that was asked for by its number."""
    _stale_pages: int = 0
    _first: tuple[str, ...] = ()
    _previous: tuple[str, ...] = ()
    _starts: set[str] = field(factory=set)

    def accept(self, page: LocationsPage) -> list[Location]:
        """What is new of the next page; raises `RepeatedPageError`."""
        self._index += 1
        ids = tuple(each.id for each in page.locations)
        fresh = {each.id: each for each in page.locations if each.id not in self.seen}
        self.seen.update(fresh)
        self._stale_pages = 0 if fresh else self._stale_pages + 1
        if page.total or not self.seen:  # the empty page after the last one may count itself
            self.total = page.total
        if self.start is not None:
            self._starts.add(self.start)
        if self.query.by_token:
            self.start = self._token_after(page, ids)
        else:
            self.start = self._offset_after(ids, is_fresh=bool(fresh))
        self._previous = ids
        self._first = self._first or ids
        return [each for each in fresh.values() if self._is_wanted(each)]

    @property
    def promises_more(self) -> bool:
        """Whether the service counts more than came."""
        return self.total is not None and self.total > len(self.seen)

    def incomplete(self) -> IncompleteListError:
        """The error of a list that ended early."""
        seen = len(self.seen)
        total = self.total if self.total is not None and self.total > seen else seen + 1
        return IncompleteListError(
            self.query.path, seen, total, "locations", at_least=not self.promises_more
        )

    def _token_after(self, page: LocationsPage, ids: tuple[str, ...]) -> str | None:
        following = page.next_token
        if page.has_next is False and not self._has_reason_to_doubt(ids):
            following = None
        if self._is_stuck(ids) or following in self._starts:
            raise RepeatedPageError(self.query.path, self._index)
        if following is None:
            is_silent = page.has_next is None and self.total is None
            self.is_cut_off = bool(page.has_next) or (is_silent and self._may_be_cut(ids))
        return following

    def _offset_after(self, ids: tuple[str, ...], *, is_fresh: bool) -> str | None:
        if not ids or self._number:
            return self._number_after(ids, is_fresh=is_fresh)
        self._offset += len(ids)
        if not self._may_be_cut(ids):
            if self.total == len(self.seen):
                return None
            if ids == self._previous and not self.promises_more:  # its last page again
                return self._number_after(ids, is_fresh=False)
        if self._is_stuck(ids):
            raise RepeatedPageError(self.query.path, self._index)
        return str(self._offset)

    def _number_after(self, ids: tuple[str, ...], *, is_fresh: bool) -> str | None:
        """The next page by its number, until one brings nothing new."""
        counts_from_one = self._number == 1 and ids == self._first
        if not self.seen or (self._number and not is_fresh and not counts_from_one):
            return None
        self._number = next(n for n in count(self._number + 1) if str(n) not in self._starts)
        return str(self._number)

    def _is_stuck(self, ids: tuple[str, ...]) -> bool:
        is_repeated = bool(ids) and ids == self._previous
        return is_repeated or self._stale_pages > _MOST_STALE_PAGES

    def _has_reason_to_doubt(self, ids: tuple[str, ...]) -> bool:
        """Whether more may follow a page that is called the last: no total shows that all came."""
        return self._may_be_cut(ids) and self.total != len(self.seen)

    def _may_be_cut(self, ids: tuple[str, ...]) -> bool:
        """Whether a page is as long as was asked for, or as a service's own limit may be."""
        return bool(ids) and (len(ids) >= self.query.page_size or len(ids) % _ROUND == 0)

    def _is_wanted(self, location: Location) -> bool:
        """Whether a location matches `is_installed`, which a service may ignore."""
        wanted = self.query.is_installed
        return wanted is None or location.is_installed in {None, wanted}


async def walk_locations(send: Send, query: LocationsQuery) -> AsyncGenerator[Location, None]:
    """The list's locations in its order; raises `IncompleteListError` after the last one."""
    walk = LocationsWalk(query)
    while walk.start is not None:
        for location in walk.accept(await _page(send, query, walk.start)):
            yield location
    if walk.is_cut_off or (walk.promises_more and not await _counts_all(send, walk)):
        raise walk.incomplete()


async def _counts_all(send: Send, walk: LocationsWalk) -> bool:
    """Whether a list's total is that of all the agency's locations, with the app and without it.

    It is if the lists of both have the same total, and as many locations together.
    """
    found: set[str] = set()
    for is_installed in (True, False):
        query = walk.query.of_all(is_installed=is_installed)
        other = walk if query == walk.query else LocationsWalk(query)
        try:
            while other.start is not None:
                other.accept(await _page(send, query, other.start))
        except (APIError, RepeatedPageError, ResponseFormatError):
            return False
        if other.total != walk.total:
            return False
        found |= other.seen
    return len(found) == walk.total


async def _page(send: Send, query: LocationsQuery, start: str) -> LocationsPage:
    request = query.page(start)
    response = await send(request)
    return await decoded(_wire.token_responses.locations, request, response)
