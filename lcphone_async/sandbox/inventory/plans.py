"""The numbering plans: which numbers there are, of which country and type, and at what price.

A number whose national digits have an even sum belongs to the stock that a search offers; one with
an odd sum belongs to the inventories that locations are grown with. So a number can be told from
its digits alone, and the two never meet.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Final, Literal

from attrs import field, frozen

from .area_codes import CANADA, UNITED_STATES, Place

_PART: Final = 10_000
_PARITY: Final = bytes(sum(map(str(part).count, "13579")) % 2 for part in range(_PART))
"""The parity of the digits of each number of up to four."""

Kind = Literal["local", "tollFree", "mobile", "national"]

_ODD: Final = "13579"
_STRIDE: Final = 2_654_435_761
"""A prime, so it shares no factor with a capacity: neighbours come out far apart, none twice."""


@frozen(cache_hash=True)
class Plan:
    """The numbers of one country and type: `dial` code, one of `prefixes`, then a subscriber."""

    country: str
    dial: str
    kind: Kind
    prefixes: tuple[str, ...]
    length: int
    """Digits of a number without its dial code."""
    price: float | None
    """US dollars a month; `None` where the search says no price."""
    address: Literal["none", "any", "local", "foreign"] = "none"
    texts: bool = True
    """Whether its numbers can carry SMS (and, on the North American plan, mostly MMS)."""
    places: dict[str, Place] = field(factory=dict, eq=False)

    @cached_property
    def leads(self) -> str:
        """What a subscriber number may begin with."""
        return "23456789" if self.dial == "1" else "0123456789"

    @cached_property
    def capacity(self) -> int:
        """How many of its numbers belong to inventories."""
        return len(self.prefixes) * len(self.leads) * self._block * len(_ODD)

    @cached_property
    def _block(self) -> int:
        return int(10**self._middle_digits)

    @cached_property
    def _middle_digits(self) -> int:
        return self.length - len(self.prefixes[0]) - 2

    @cached_property
    def _layout(self) -> str:
        return f"%s%0{self._middle_digits}d%d"

    @cached_property
    def _heads(self) -> list[tuple[str, int]]:
        """All that a number can begin with, in E.164, each with the parity of its own digits."""
        heads = (prefix + lead for prefix in self.prefixes for lead in self.leads)
        return [(f"+{self.dial}{head}", not is_even(head)) for head in heads]

    def inventory_number(self, position: int) -> str:
        """Give the number at a position, in E.164. No two positions below `capacity` share one."""
        rest, last = divmod(position * _STRIDE % self.capacity, len(_ODD))
        which, middle = divmod(rest, self._block)
        head, parity = self._heads[which]
        parity ^= _PARITY[middle % _PART] ^ _PARITY[middle // _PART]
        return self._layout % (head, middle, 2 * last + 1 - parity)

    def national(self, number: str) -> str | None:
        """Give the number without its dial code, or `None` if it is not one of this plan."""
        digits = number.removeprefix(f"+{self.dial}")
        return digits if digits != number and self.holds(digits) else None

    def holds(self, national: str) -> bool:
        """Tell whether these national digits are a number of this plan."""
        prefix = national[: len(self.prefixes[0])]
        return (
            len(national) == self.length
            and national.isascii()
            and national.isdecimal()
            and prefix in self.prefixes
            and national[len(prefix)] in self.leads
        )


def is_even(digits: str) -> bool:
    """Tell whether the sum of the digits is even."""
    return sum(map(digits.count, _ODD)) % 2 == 0


# The toll-free codes of the North American plan serve both countries; here each has its own, so
# that a number tells its country.
PLANS: Final = (
    Plan("US", "1", "local", tuple(UNITED_STATES), 10, 1.15, places=UNITED_STATES),
    Plan("US", "1", "tollFree", ("800", "833", "844", "855"), 10, 2.15),
    Plan("CA", "1", "local", tuple(CANADA), 10, 1.15, places=CANADA),
    Plan("CA", "1", "tollFree", ("866", "877", "888"), 10, 2.15),
    Plan("GB", "44", "local", ("113", "121", "131", "161", "207"), 10, 1.15, "any", texts=False),
    Plan("GB", "44", "mobile", ("74", "75", "77", "78", "79"), 10, 1.15),
    Plan("GB", "44", "tollFree", ("800", "808"), 10, 2.15, "any", texts=False),
    Plan("GB", "44", "national", ("330", "333", "345"), 10, 1.15, texts=False),
    Plan("AU", "61", "local", ("2", "3", "7", "8"), 9, 3.0, "local", texts=False),
    Plan("AU", "61", "mobile", ("4",), 9, 6.5, "any"),
    Plan("AU", "61", "tollFree", ("1800",), 10, 16.0, "any", texts=False),
    Plan("DE", "49", "local", ("30", "40", "69", "89"), 10, 1.15, "local", texts=False),
    Plan("DE", "49", "mobile", ("151", "152", "157", "160", "171"), 11, 5.0, "any"),
    Plan("DE", "49", "tollFree", ("800",), 10, 2.25, "any", texts=False),
    Plan("FR", "33", "local", ("1", "2", "3", "4", "5"), 9, 1.15, "local", texts=False),
    Plan("FR", "33", "mobile", ("6", "7"), 9, 2.25, "any"),
    Plan("FR", "33", "tollFree", ("80",), 9, 22.0, "any", texts=False),
    Plan("FR", "33", "national", ("9",), 9, 1.15, "any", texts=False),
    Plan("NL", "31", "local", ("10", "20", "30", "70"), 9, 1.5, "local", texts=False),
    Plan("NL", "31", "mobile", ("6",), 9, 6.0, "any"),
    Plan("NL", "31", "tollFree", ("800",), 10, 2.25, "any", texts=False),
    Plan("SE", "46", "local", ("31", "40", "84", "85", "86"), 9, None, "any", texts=False),
    Plan("SE", "46", "mobile", ("70", "72", "73", "76"), 9, None, "any"),
    Plan("SE", "46", "tollFree", ("20",), 9, None, "any", texts=False),
)


def plan_of(number: str) -> Plan | None:
    """Find the plan that a number in E.164 belongs to, if any."""
    return next((plan for plan in PLANS if plan.national(number) is not None), None)


def plans_for(country: str, kinds: tuple[str, ...]) -> Iterator[Plan]:
    """Give the plans of a country, in the order in which the kinds were asked for."""
    for kind in dict.fromkeys(kinds):
        yield from (plan for plan in PLANS if (plan.country, plan.kind) == (country, kind))
