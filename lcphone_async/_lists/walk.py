"""The walk over a paged list: which pages to ask for, how far ahead, and what of them is new."""

from __future__ import annotations

import asyncio
import math
import operator
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import attrs

from .. import _wire
from .._http.body import decoded
from .._internal.tasks import OwnTasks
from ..errors import IncompleteListError, RepeatedPageError
from ..models import ActiveNumber, ActiveNumbersPage

if TYPE_CHECKING:
    from .._wire.requests import Request
    from .._wire.responses import Response

# Without `total` pages are asked for on the chance that they exist; few of them at a time.
_MAX_AHEAD_WITHOUT_TOTAL = 4

# So many pages in a row may bring nothing new because the list shifted by as much; more where a
# total says that the list goes on.
_MOST_STALE_PAGES = 2
_MOST_STALE_PAGES_OF_TOTAL = 32

# A number comes twice because the list shifted under the walk by as many places as lie between.
# A shift by so many during one walk is not a list any more, and memory stays bounded.
_REMEMBERED = 16_000

# Seconds that a number takes to decode and to hand out, until it is known.
_USUAL_USE = 2e-6

# The usual budget gives a list of more pages than that ten a second; so many at once use it up.
_SHORT_LIST = 100
_AHEAD_OF_LONG_LIST = 16

# So many times as many pages are asked for as are needed if none comes later than the quickest.
_SPARE = 1.5

# A first page that is short may be cut by the service, which may say the size that was asked for
# all the same. Caps are round, in tens or in bits: multiples of these. A cap of less is unlikely.
_CAP_STEPS = 5, 16
_LEAST_CAP = 10

_phone_number = operator.attrgetter("phone_number")


@attrs.define
class Pace:
    """How many pages come in while one is used up: more of them ahead would only take memory."""

    _use: float
    """Seconds: the least between a page's being there and the next one's being wanted."""
    _latency: float = math.inf
    """Seconds: the least that a response took."""
    _is_measured: bool = False
    is_long_list: bool = False

    @property
    def pages(self) -> int:
        """How many pages to have under way or waiting."""
        pages = math.ceil(min(_SPARE * self._latency / self._use, 1e6)) + 1
        return min(pages, _AHEAD_OF_LONG_LIST) if self.is_long_list else pages

    def record(self, seconds: float) -> None:
        """Takes in how long a response took."""
        self._latency = min(self._latency, seconds)

    def used(self, seconds: float) -> None:
        """Takes in how long a page was decoded and used by who walks."""
        self._use = max(min(self._use, seconds) if self._is_measured else seconds, 1e-6)
        self._is_measured = True


@attrs.define
class Walk:
    """What a walk knows of the list so far; it does no I/O.

    A service may count pages from one, ignore `page`, repeat numbers because the list shifted,
    give fewer numbers a page than asked for, or end before its `total`.
    """

    path: str
    page_size: int
    asks_for: int = attrs.field(
        default=attrs.Factory(lambda self: self.page_size, takes_self=True), init=False
    )
    """The page size of the next request: smaller if the first page may have been cut."""
    done: bool = False
    repeated: Counter[str] = attrs.field(factory=Counter, init=False)
    """How often a number came again after the first time."""
    _index: int = -1
    _total: int | None = None
    _counts_from_one: bool = False
    _may_have_ended: bool = False
    """Whether the first page was short, but may have been cut; the next one shows it."""
    _handed_out: int = 0
    _doubled: int = 0
    """How many of a page's numbers the same page had before."""
    _stale_pages: int = 0
    _previous: tuple[str, ...] = ()
    _seen: set[str] = attrs.field(factory=set)
    _seen_pages: deque[Sequence[str]] = attrs.field(factory=deque)

    def accept(self, page: ActiveNumbersPage) -> ActiveNumbersPage | None:
        """What is new of the next page in order, or `None`; sets `done` after the last one.

        Raises `RepeatedPageError`.
        """
        self._index += 1
        self._learn(page)
        numbers = tuple(map(_phone_number, page.numbers))
        if numbers and numbers == self._previous and self._index == 1:
            self._counts_from_one = True
            self.done = self._ends_with(page)
            return None
        if self._may_have_ended and numbers == self._previous:
            self.done = True  # the service has no other page
            return None
        fresh = self._fresh(numbers)
        self._may_have_ended = self._may_have_ended and (self._index == 0 or not fresh)
        self._stale_pages = 0 if fresh else self._stale_pages + 1
        if numbers and (numbers == self._previous or self._goes_in_circles):
            raise RepeatedPageError(self.path, self._index)
        if len(fresh) < len(numbers):
            self.repeated += Counter(numbers) - Counter(fresh)
            self._doubled += len(numbers) - len(set(numbers))
        self._remember(numbers, fresh)
        self.done = self._ends_with(page)
        if self._index > 0 and not fresh:
            return None
        return page if len(fresh) == len(numbers) else _only(page, fresh)

    def may_have(self, index: int) -> bool:
        """Whether the list may have that page, as far as is known."""
        if self.done:
            return False
        if self._index < 0:
            return index == 0
        return self._last_page is None or index <= self._last_page

    def ahead(self, most: int) -> int:
        """How many pages to have under way, of `most` that budget and connections allow."""
        if self._may_have_ended:
            return min(most, 1)
        return most if self._total is not None else min(most, _MAX_AHEAD_WITHOUT_TOTAL)

    @property
    def pages(self) -> int:
        """How many pages came."""
        return self._index + 1

    @property
    def reached_total(self) -> bool:
        """Whether as many numbers came as the last page promised, repeated ones included."""
        return self._total is None or self._handed_out + self.repeated.total() >= self._total

    @property
    def is_long(self) -> bool:
        """Whether it is known to have more pages than the usual budget gives at once."""
        return self._last_page is not None and self._last_page >= _SHORT_LIST

    def check_complete(self) -> None:
        """Raises `IncompleteListError` if the last page promised more than was handed out.

        A number that one page has twice counts twice; one of two pages may come from a shift.
        """
        if self._total is not None and self._handed_out + self._doubled < self._total:
            raise IncompleteListError(self.path, self._handed_out, self._total)

    @property
    def _goes_in_circles(self) -> bool:
        """Whether page after page brings nothing new."""
        most = _MOST_STALE_PAGES if self._total is None else _MOST_STALE_PAGES_OF_TOTAL
        return self._stale_pages > most

    @property
    def _last_page(self) -> int | None:
        """The index of the last page, where `total` tells."""
        if self._total is None:
            return None
        pages = -(-self._total // self.page_size)
        return pages if self._counts_from_one else pages - 1

    def _learn(self, page: ActiveNumbersPage) -> None:
        if page.total is not None and page.total >= len(page.numbers):
            self._total = page.total
        if self._index == 0:
            told = page.page_size if page.page_size and page.page_size > 0 else self.page_size
            size, given = min(self.page_size, told), len(page.numbers)
            may_be_capped = _LEAST_CAP <= given < size and _is_round(given)
            self._may_have_ended = may_be_capped and self._total is None
            if may_be_capped:
                self.asks_for = given  # so that the next page begins where this one ends
            is_told = self._total is not None and given > 0
            self.page_size = min(size, given) if may_be_capped or is_told else size

    def _fresh(self, numbers: tuple[str, ...]) -> Sequence[str]:
        """Those that were not seen yet, each once; mostly all of them are such."""
        if self._seen.isdisjoint(numbers) and len(set(numbers)) == len(numbers):
            return numbers
        return [number for number in dict.fromkeys(numbers) if number not in self._seen]

    def _remember(self, numbers: tuple[str, ...], fresh: Sequence[str]) -> None:
        self._previous = numbers
        self._handed_out += len(fresh)
        self._seen.update(fresh)
        self._seen_pages.append(fresh)
        while len(self._seen) > _REMEMBERED:
            self._seen.difference_update(self._seen_pages.popleft())

    def _ends_with(self, page: ActiveNumbersPage) -> bool:
        if not page.numbers:
            return True
        if self._last_page is not None:
            return self._index >= self._last_page
        return len(page.numbers) < self.page_size


async def walk_pages(
    send: Callable[[Request], Coroutine[Any, Any, Response]],
    request: Callable[[int, int], Request],
    walk: Walk,
    prefetch: Callable[[Pace], int],
) -> AsyncGenerator[ActiveNumbersPage, None]:
    """The list's pages in order, the next ones being fetched meanwhile.

    `request` makes the request for a page of some size. At most `prefetch(pace)` requests are under
    way or wait, as bytes, to be handed out.
    """
    now = asyncio.get_running_loop().time
    pace = Pace(_USUAL_USE * walk.page_size)
    responses: deque[asyncio.Task[Response]] = deque()
    asked = 0

    async def fetch(index: int) -> Response:
        began = now()
        response = await send(request(index, walk.asks_for))
        pace.record(now() - began)
        return response

    async with OwnTasks() as tasks:

        def ask(most: int) -> None:
            nonlocal asked
            while len(responses) < most and walk.may_have(asked):
                responses.append(tasks.start(fetch(asked)))
                asked += 1

        while not walk.done:
            ask(1)
            await asyncio.sleep(0)  # others have their turn between pages, also if all are there
            index = asked - len(responses)
            response = await responses.popleft()
            began = now()
            page = walk.accept(
                await decoded(
                    _wire.responses.active_numbers, request(index, walk.asks_for), response, index
                )
            )
            pace.is_long_list = walk.is_long
            del response  # as long as the page is used, both would take memory
            ask(walk.ahead(prefetch(pace)))
            if page is not None:
                yield page
            del page
            pace.used(now() - began)
    walk.check_complete()


async def numbers_of(
    pages: AsyncGenerator[ActiveNumbersPage, None],
) -> AsyncGenerator[ActiveNumber, None]:
    """The numbers of a walk's pages; closing it closes the walk."""
    async with aclosing(pages):
        async for page in pages:
            for number in page.numbers:
                yield number
            del page


def _is_round(count: int) -> bool:
    return any(count % step == 0 for step in _CAP_STEPS)


def _only(page: ActiveNumbersPage, fresh: Sequence[str]) -> ActiveNumbersPage:
    """The page with the first of each fresh number, in its order."""
    first = {number.phone_number: number for number in reversed(page.numbers)}
    return attrs.evolve(page, numbers=tuple(first[number] for number in fresh))
