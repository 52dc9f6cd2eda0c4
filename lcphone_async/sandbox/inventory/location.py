"""A location: its numbers and pools, and what was bought, added and released."""

from collections.abc import Container, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Self

from attrs import define, field, frozen, validators

from .. import arguments
from .generator import MAX_NUMBERS, NumberGenerator
from .listing import Listing, Remaining
from .numbers import Number, new_number
from .pools import Pool, pools_of


@frozen(kw_only=True)
class LocationSettings:
    """What a location starts with.

    >>> LocationSettings(numbers=2_500, account_status="suspended").pools
    2
    """

    numbers: int | None = field(
        default=None,
        validator=validators.optional(arguments.whole(0, MAX_NUMBERS)),
    )
    """How many numbers, those in pools included; `None` takes the sandbox's own default."""
    pools: int = field(default=2, validator=arguments.whole(0))
    """How many number pools. They share every fourth number, up to 25 numbers a pool."""
    account_status: str = field(default="active", validator=arguments.a_text)
    """`active`, `suspended` or `closed`; other words go out as they are."""
    under_lc: bool = field(default=True, validator=arguments.a_switch)
    """`isUnderLc` (v3), `isUnderGhl` (2021-07-28)."""
    connected: bool = field(default=True, validator=arguments.a_switch)
    """`False` answers 404 "Phone system is not connected to this account"."""


@define(eq=False)
class Location:
    """The state of one location, for a test to read and to steer.

    >>> from lcphone_async.sandbox import Sandbox
    >>> location = Sandbox(numbers_per_location=3).location("loc1")
    >>> location.add("+18305551234").type
    'local'
    >>> location.release(location.numbers[0].phone_number)
    >>> len(location.numbers)
    3
    """

    id: str
    grown: int
    """How many numbers it started with."""
    pools: tuple[Pool, ...]
    account_status: str
    under_lc: bool
    connected: bool
    bought: list[str] = field(factory=list, init=False)
    """The numbers it has bought, in order, whether or not they were released since."""
    _generator: NumberGenerator = field(alias="generator")
    _added: dict[str, Number] = field(factory=dict, init=False)
    _released: frozenset[int] = field(default=frozenset(), init=False)

    @classmethod
    def starting(cls, seed: int, location_id: str, settings: LocationSettings, n: int) -> Self:
        """Start a location of `n` numbers that follow from the seed and its id."""
        return cls(
            id=location_id,
            grown=n,
            pools=pools_of(seed, location_id, settings.pools, n),
            account_status=settings.account_status,
            under_lc=settings.under_lc,
            connected=settings.connected,
            generator=NumberGenerator(seed, location_id),
        )

    @property
    def numbers(self) -> Listing:
        """All its numbers, those in pools included, in the order of the list."""
        return self.listing()

    def has_added(self, phone_number: str) -> bool:
        """Return whether it bought this number, or was given it, and has not released it."""
        return phone_number in self._added

    def listing(
        self,
        *,
        skip_pools: bool = False,
        search: str = "",
        newest_first: bool = False,
        hidden: Container[str] = (),
    ) -> Listing:
        """Give the numbers whose E.164 form contains `search`, with or without those in pools.

        What was added comes last, or first and the newest before the others; what is `hidden` of
        it is left out.
        """
        pooled = {index for pool in self.pools for index in pool.indexes} if skip_pools else set()
        unlisted = self._released | pooled
        added = [
            number
            for phone_number, number in list(self._added.items())
            if search in phone_number and phone_number not in hidden
        ]
        if not search:
            indexes: Sequence[int] = Remaining(self.grown, sorted(unlisted))
        else:
            found = _matching(self._generator, self.grown, search)
            indexes = [index for index in found if index not in unlisted]
        if newest_first:
            return Listing(self._generator.number, indexes, before=added[::-1])
        return Listing(self._generator.number, indexes, after=added)

    def pool_numbers(self, pool: Pool) -> Sequence[Number]:
        """Give the numbers that are in a pool now."""
        held = [index for index in pool.indexes if index not in self._released]
        return Listing(self._generator.number, held)

    def add(self, number: Number | str) -> Number:
        """Put a number at the end of the list, with no purchase; a string is a number in E.164.

        The stock does not know of it: `sandbox.stock.take` keeps a search from offering it too.
        """
        if isinstance(number, str):
            number = new_number(number, datetime.now(UTC))
        self._added[number.phone_number] = number
        return number

    def release(self, phone_number: str) -> None:
        """Take a number out of the list; `LookupError` if it is not there."""
        if self._added.pop(phone_number, None) is not None:
            return
        for index in _matching(self._generator, self.grown, phone_number):
            if index not in self._released and self._generator.phone_number(index) == phone_number:
                self._released |= {index}
                return
        raise LookupError(f"location {self.id!r} has no number {phone_number!r}")


@lru_cache(maxsize=8)
def _matching(grower: NumberGenerator, count: int, part: str) -> tuple[int, ...]:
    """Look at every number for those that contain `part`, and remember their indexes."""
    return tuple(index for index in range(count) if part in grower.phone_number(index))
