"""Numbers in list order, each made when it is asked for, so that no page waits for another."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import overload

from attrs import frozen

from .numbers import Number


@frozen(eq=False)
class Remaining(Sequence[int]):
    """The indexes below `stop` that are not excluded. Finding the k-th looks at few of them."""

    stop: int
    excluded: Sequence[int]
    """In rising order, none twice."""

    def __len__(self) -> int:
        return self.stop - len(self.excluded)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        if isinstance(at, int):
            return next(self._starting(range(len(self))[at]))
        start, stop, step = at.indices(len(self))
        if step != 1:
            return list(self)[at]
        return list(islice(self._starting(start), max(stop - start, 0)))

    def __iter__(self) -> Iterator[int]:
        return self._starting(0)

    def _starting(self, position: int) -> Iterator[int]:
        first = bisect_left(range(self.stop), position, key=self._remaining_before)
        return (index for index in range(first, self.stop) if index not in self._unlisted)

    def _remaining_before(self, index: int) -> int:
        return index - bisect_left(self.excluded, index)

    @cached_property
    def _unlisted(self) -> frozenset[int]:
        return frozenset(self.excluded)


@frozen(eq=False)
class Listing(Sequence[Number]):
    """The grown numbers at some indexes, and the added ones. A slice makes only what is in it.

    >>> from lcphone_async.sandbox import Sandbox
    >>> numbers = Sandbox(numbers_per_location=1_000_000).location("loc1").numbers
    >>> len(numbers), numbers[999_999].origin, len(numbers[5000:5003])
    (1000000, 'twilio', 3)
    """

    grow: Callable[[int], Number]
    indexes: Sequence[int]
    before: Sequence[Number] = ()
    after: Sequence[Number] = ()

    @property
    def added(self) -> Sequence[Number]:
        """Those that it was not grown with."""
        return [*self.before, *self.after]

    def __len__(self) -> int:
        return len(self.before) + len(self.indexes) + len(self.after)

    @overload
    def __getitem__(self, at: int) -> Number: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Number]: ...
    def __getitem__(self, at: int | slice) -> Number | Sequence[Number]:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            return self._between(start, stop) if step == 1 else list(self)[at]
        position = range(len(self))[at]
        return self._between(position, position + 1)[0]

    def __iter__(self) -> Iterator[Number]:
        yield from self.before
        yield from map(self.grow, self.indexes)
        yield from self.after

    def _between(self, start: int, stop: int) -> Sequence[Number]:
        """Give the numbers from a position up to another."""
        first = len(self.before)
        last = first + len(self.indexes)
        middle = self.indexes[max(start - first, 0) : max(stop - first, 0)]
        tail = self.after[max(start - last, 0) : max(stop - last, 0)]
        return [*self.before[start:stop], *map(self.grow, middle), *tail]
