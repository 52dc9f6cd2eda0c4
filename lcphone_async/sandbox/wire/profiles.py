"""The wire's variants by name: what is documented, what was seen, and what others guard against."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Literal

from attrs import field, frozen

from ..arguments import several
from . import variants as to
from .variants import Change, Said

Ground = Literal["documented", "seen", "assumed"]


@frozen(kw_only=True)
class Profile:
    """A way in which the service's answers may differ from the sandbox's own."""

    name: str
    ground: Ground
    """`documented` by the vendor, `seen` in live answers, or `assumed` by other clients."""
    summary: str
    about: str
    """What it decides; of two that decide the same thing only one can be on."""
    change: Change | None = None
    page: Callable[[int, int], int] | None = None
    """Which page it gives, from 0, of the one asked for and how many pages there are."""
    newest_first: bool = False
    number_types: str | None = None
    """What a search without `numberTypes` looks for."""
    turns_python_away: bool = False
    counts_all: bool = False
    """Whether `count` of the installed locations is of all that the agency has."""


def _profile(
    name: str, ground: Ground, about: str, summary: str, change: Change | None = None
) -> Profile:
    return Profile(name=name, ground=ground, about=about, summary=summary, change=change)


def _clamped(page: int, pages: int) -> int:
    return min(page, max(pages - 1, 0))


def _one_based(page: int, _pages: int) -> int:
    return max(page - 1, 0)


def _ignored(_page: int, _pages: int) -> int:
    return 0


_LIST: Final = "the active list's shape"
_DATE: Final = "dates"
_ABSENT: Final = "what is absent"
_PAGE: Final = "pages"
_POOLS: Final = "the pools' shape"
_GONE: Final = "a number that is gone"

PROFILES: Final = (
    _profile("no-total", "documented", "totals", "no `total` in v3's active numbers",
             to.of_list(to.without("total"))),
    _profile("rfc2822-dates", "seen", _DATE, "dates as `Mon, 23 Feb 2026 22:00:52 +0000`",
             to.of_each_number(to.rfc2822_dates)),
    _profile("date-created", "documented", _DATE, "the legacy `dateCreated` alone",
             to.of_each_number(to.created_instead_of_added)),
    _profile("no-dates", "documented", _DATE, "active numbers without dates",
             to.of_each_number(to.without("dateAdded", "dateUpdated", "dateCreated"))),
    _profile("toll-free-type", "seen", "types", "active numbers: `tollFree` for `toll-free`",
             to.of_each_number(to.toll_free_as_in_a_search)),
    _profile("new-types", "assumed", "types",
             "active numbers of a type, an origin and with keys that are in no document",
             to.of_each_number(to.of_tomorrow)),
    _profile("absent-missing", "seen", _ABSENT, "active numbers: absent keys are left out",
             to.of_each_number(to.nothing_blank)),
    _profile("absent-null", "seen", _ABSENT, "active numbers: absent keys are `null`",
             to.of_each_number(to.blank(None))),
    _profile("absent-empty", "seen", _ABSENT, 'active numbers: absent keys are `""`',
             to.of_each_number(to.blank(""))),
    _profile("fractions", "documented", "numbers", "whole numbers as `50.0`",
             to.of("active", to.fractions)),
    Profile(name="one-based-pages", ground="assumed", about=_PAGE,
            summary="pages count from 1; page 0 is the first too", page=_one_based),
    Profile(name="clamped-pages", ground="assumed", about=_PAGE,
            summary="a page past the end gives the last one again", page=_clamped),
    Profile(name="ignored-pages", ground="assumed", about=_PAGE,
            summary="every page is the first one", page=_ignored),
    Profile(name="newest-first", ground="assumed", about="order", newest_first=True,
            summary="what was added comes first in the list"),
    Profile(name="default-number-types", ground="documented", about="types of a search",
            summary="a search without `numberTypes` looks for `local,tollFree`",
            number_types="local,tollFree"),
    _profile("no-prices", "documented", "prices", "a search's numbers without prices",
             to.of("available", to.without_prices)),
    *(
        _profile(f"gone-{status}", "assumed", _GONE,
                 f"a number that is gone is {status}, not 400", to.gone_with(status))
        for status in (404, 409, 410)
    ),
    _profile("message-list", "documented", "messages", "errors: `message` is a list",
             to.messages_in_a_list),
    _profile("no-trace-id", "documented", "trace ids", "errors without `traceId`", to.no_trace_id),
    _profile("msg-500", "documented", "a 500", "a 500 is `{msg, accountStatus}`", to.msg_for_500),
    _profile("retry-after", "assumed", "Retry-After", "a 429 has `Retry-After: 1`", to.retry_after),
    _profile("other-token-names", "assumed", "names of tokens",
             "tokens: camelCase in 2021-07-28, snake_case in v3", to.other_spelling),
    _profile("location-token-201", "seen", "a location token's status",
             "a location's token comes with 201", to.created("location-token")),
    Profile(name="count-of-all", ground="seen", about="the count of locations", counts_all=True,
            summary="2021-07-28: `count` is of all the agency's locations"),
    Profile(name="cloudflare", ground="seen", about="the proxy", turns_python_away=True,
            summary="403 with Cloudflare's 1010 for Python's default User-Agents"),
    _profile("short-empty-list", "documented", "an empty list",
             'an empty page of active numbers is `{"numbers": [], "total": 0}`',
             to.of("active", to.short_where_empty)),
    _profile("bare-list", "assumed", _LIST, "active numbers: a bare list",
             to.of("active", to.bare_list)),
    _profile("phone-numbers", "assumed", _LIST, "active numbers under `phoneNumbers`",
             to.of_list(to.renamed_list("phoneNumbers"))),
    _profile("data-list", "assumed", _LIST, "active numbers: `data` is the list",
             to.of("active", to.data_is_the_list)),
    _profile("other-envelope", "documented", _LIST,
             "active numbers at the top in v3, under `data` in 2021-07-28",
             to.of("active", to.other_envelope)),
    _profile("search-envelope", "assumed", "the search's shape", "a search's answer in an envelope",
             to.of("available", to.in_envelope)),
    _profile("bare-pools", "assumed", _POOLS, "pools: a bare list",
             to.of("pools", lambda body: body["data"])),
    _profile("pools-key", "assumed", _POOLS, "pools under `pools`",
             to.of("pools", to.renamed_pools("pools"))),
    _profile("number-pools-key", "assumed", _POOLS, "pools under `numberPools`",
             to.of("pools", to.renamed_pools("numberPools"))),
    _profile("pools-envelope", "assumed", _POOLS, "pools in an envelope",
             to.of("pools", to.in_envelope)),
)  # fmt: skip
"""All that there are, in the order in which they change an answer: its shape comes last."""


def named(profile: str | Iterable[str]) -> tuple[Profile, ...]:
    """Find profiles by their names, one name or several.

    Raises `ValueError` for an unknown one, and for two that exclude each other.
    """
    names = {profile} if isinstance(profile, str) else set(several("profile", profile))
    found = tuple(one for one in PROFILES if one.name in names)
    if unknown := names.difference(one.name for one in found):
        raise ValueError(f"no profile {min(unknown)!r}: `lcphone sandbox --list` shows them")
    for about, count in Counter(one.about for one in found).items():
        if count > 1:
            clash = " and ".join(one.name for one in found if one.about == about)
            raise ValueError(f"profiles exclude each other, as they are about {about}: {clash}")
    return found


@frozen
class Wire:
    """The profiles that are on, as one."""

    profiles: tuple[Profile, ...] = field(converter=named)

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return [profile.name for profile in self.profiles]

    @property
    def newest_first(self) -> bool:
        """Whether what was added comes first in a list."""
        return any(profile.newest_first for profile in self.profiles)

    @property
    def number_types(self) -> str:
        """What a search looks for that names no types; empty is nothing."""
        return next(filter(None, (profile.number_types for profile in self.profiles)), "")

    @property
    def turns_python_away(self) -> bool:
        """Whether Cloudflare stands before it."""
        return any(profile.turns_python_away for profile in self.profiles)

    @property
    def counts_all(self) -> bool:
        """Whether `count` of the installed locations is of all that the agency has."""
        return any(profile.counts_all for profile in self.profiles)

    def page(self, asked: int, pages: int) -> int:
        """Say which page is given, from 0."""
        for profile in self.profiles:
            if profile.page is not None:
                return profile.page(asked, pages)
        return asked

    @property
    def changes(self) -> list[Change]:
        """What becomes of an answer, in order."""
        return [profile.change for profile in self.profiles if profile.change is not None]

    def said(self, said: Said) -> Said:
        """Say it as the profiles have it."""
        for change in self.changes:
            said = change(said)
        return said
