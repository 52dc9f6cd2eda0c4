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
    """The grown numbers at some indexes, then the added ones. A slice makes only what is in it.

    >>> from lcphone_async.sandbox import Sandbox
    >>> numbers = Sandbox(numbers_per_location=1_000_000).location("loc1").numbers
    >>> len(numbers), numbers[999_999].origin, len(numbers[5000:5003])
    (1000000, 'twilio', 3)
    """

    grow: Callable[[int], Number]
    indexes: Sequence[int]
    added: Sequence[Number]

    def __len__(self) -> int:
        return len(self.indexes) + len(self.added)

    @overload
    def __getitem__(self, at: int) -> Number: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Number]: ...
    def __getitem__(self, at: int | slice) -> Number | Sequence[Number]:
        if isinstance(at, slice):
            return self._slice(at)
        position = range(len(self))[at] - len(self.indexes)
        return self.added[position] if position >= 0 else self.grow(self.indexes[position])

    def __iter__(self) -> Iterator[Number]:
        yield from map(self.grow, self.indexes)
        yield from self.added

    def _slice(self, at: slice) -> Sequence[Number]:
        start, stop, step = at.indices(len(self))
        if step != 1:
            return list(self)[at]
        grown = len(self.indexes)
        tail = self.added[max(start - grown, 0) : max(stop - grown, 0)]
        return [*map(self.grow, self.indexes[start:stop]), *tail]
