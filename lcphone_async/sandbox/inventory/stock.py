"""The numbers for sale: what a search finds, and what is gone.

Nothing is stored but what was taken. A number is for sale when it is one of a numbering plan and
its digits have an even sum (see `plans`), so that a search and a purchase agree without a list.
"""

from collections.abc import Iterator
from itertools import chain, islice, zip_longest
from random import Random
from typing import Final

from attrs import define, field, frozen

from .area_codes import Place
from .numbers import Capabilities, capabilities_of, digest
from .plans import Plan, is_even, plan_of, plans_for

MOST_FOUND: Final = 30
"""How many numbers a search gives at most."""
_TRIES: Final = 1_500
_FREE: Final = "?"


@frozen(kw_only=True)
class Wanted:
    """What a search asks for: digits of the national number, and capabilities."""

    country: str
    kinds: tuple[str, ...]
    first_part: str = ""
    last_part: str = ""
    anywhere: str = ""
    sms: bool = False
    mms: bool = False
    voice: bool = False

    def takes(self, offer: "Offer") -> bool:
        """Tell whether an offer is what was asked for."""
        can = offer.capabilities
        return (
            offer.national.startswith(self.first_part)
            and offer.national.endswith(self.last_part)
            and self.anywhere in offer.national
            and (can.sms or not self.sms)
            and (can.mms or not self.mms)
            and (can.voice or not self.voice)
        )


@frozen
class Offer:
    """A number for sale."""

    phone_number: str
    plan: Plan
    capabilities: Capabilities

    @property
    def national(self) -> str:
        """Its digits without the dial code."""
        return self.phone_number.removeprefix(f"+{self.plan.dial}")

    @property
    def place(self) -> Place | None:
        """Where it is, for a local number of the United States or Canada."""
        return self.plan.places.get(self.national[:3])


@define
class Stock:
    """What is for sale; shared by all locations, so a number is sold once."""

    seed: int
    _taken: set[str] = field(factory=set, init=False)

    def find(self, phone_number: str) -> Offer | None:
        """Give the offer of this number in E.164, or `None` if it is not for sale (any more)."""
        plan = plan_of(phone_number)
        if plan is None or plan.kind == "national" or phone_number in self._taken:
            return None
        offer = Offer(phone_number, plan, capabilities_of(phone_number, plan))
        return offer if is_even(offer.national) else None

    def take(self, phone_number: str) -> None:
        """Make a number unavailable, as if somebody else had bought it."""
        self._taken.add(phone_number)

    def clear(self) -> None:
        """Offer again what was taken."""
        self._taken.clear()

    def search(self, wanted: Wanted) -> list[Offer]:
        """Up to 30 offers, the types in turn; the same for the same question."""
        found = (
            list(islice(self._offers(plan, wanted), MOST_FOUND))
            for plan in plans_for(wanted.country, wanted.kinds)
            if plan.kind != "national"
        )
        in_turn = chain.from_iterable(zip_longest(*found))
        return list(islice(filter(None, in_turn), MOST_FOUND))

    def _offers(self, plan: Plan, wanted: Wanted) -> Iterator[Offer]:
        parts = (wanted.first_part, wanted.last_part, wanted.anywhere)
        dice = Random(digest("search", self.seed, plan.country, plan.kind, *parts))
        shown: set[str] = set()
        for national in islice(_nationals(plan, *parts, dice), _TRIES):
            offer = None if national in shown else self.find(f"+{plan.dial}{national}")
            shown.add(national)
            if offer and wanted.takes(offer):
                yield offer


def _nationals(
    plan: Plan, first_part: str, last_part: str, anywhere: str, dice: Random
) -> Iterator[str]:
    """Endless random digits of the plan's length that fit the parts, or nothing if none can."""
    frames = [
        frame
        for prefix in plan.prefixes
        for frame in _frames(prefix, plan.length, first_part, last_part, anywhere)
    ]
    while frames:
        frame = dice.choice(frames)
        yield "".join(dice.choice("0123456789") if sign == _FREE else sign for sign in frame)


def _frames(prefix: str, length: int, first: str, last: str, anywhere: str) -> list[str]:
    """Lay the parts over a number that begins with `prefix` in every way; `?` is a free digit."""
    frames = [prefix.ljust(length, _FREE)]
    anyhow = range(length - len(anywhere) + 1) if anywhere else (0,)
    for part, places in ((first, (0,)), (last, (length - len(last),)), (anywhere, anyhow)):
        laid = (_laid(frame, part, at) for frame in frames for at in places)
        frames = list(filter(None, laid))
    return frames


def _laid(frame: str, part: str, at: int) -> str | None:
    """Give the frame with `part` laid over it at a place, or `None` where the two disagree."""
    under = frame[at : at + len(part)] if at >= 0 else ""
    if len(under) != len(part) or any(
        u not in (_FREE, p) for u, p in zip(under, part, strict=True)
    ):
        return None
    return frame[:at] + part + frame[at + len(part) :]
