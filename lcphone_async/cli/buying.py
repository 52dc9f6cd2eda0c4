"""Around a purchase: what a number is and costs, before; what to do in doubt, after."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from .. import _checks as checks
from ..client import LCPhoneClient
from ..models import AvailableNumber, AvailableNumbers, CountrySearch, Purchase
from .service import complain

_TYPES = ("local", "tollFree", "mobile")
_COUNTRIES = (
    "1:US/CA 27:ZA 30:GR 31:NL 32:BE 33:FR 34:ES 36:HU 39:IT 40:RO 41:CH 43:AT 44:GB 45:DK "
    "46:SE 47:NO 48:PL 49:DE 52:MX 54:AR 55:BR 56:CL 57:CO 60:MY 61:AU 63:PH 64:NZ 65:SG "
    "81:JP 82:KR 351:PT 352:LU 353:IE 358:FI 359:BG 370:LT 371:LV 372:EE 385:HR 386:SI "
    "420:CZ 421:SK 852:HK 972:IL"
)
"""Where numbers are commonly bought, by dial code; none of these begins with another one."""


_LONGEST_CODE = len("+123")


async def look_up(
    client: LCPhoneClient, location_id: str, phone_number: str, country: str | None
) -> tuple[AvailableNumber, str | None]:
    """The number as a search shows it, and that search's fingerprint.

    Where no search shows it, only the number itself is known. Raises `ValueError` if it is no
    number or its country must be told, and the search's error if one failed and no other knew it.
    """
    checks.e164("NUMBER", phone_number)
    countries = [country] if country else _countries_of(phone_number)
    failure = None
    searches = client.search_countries(
        location_id, countries, number_types=_TYPES, last_part=phone_number[_LONGEST_CODE:]
    )
    async with aclosing(searches):
        async for search in searches:
            failure = failure or search.error
            if offer := _offer(search, phone_number):
                return offer
    if failure:
        raise failure
    return AvailableNumber(phone_number), None


async def purchase(
    client: LCPhoneClient, location_id: str, offer: AvailableNumber, **options: Any
) -> Purchase:
    """Buys it. Whoever interrupts that is told that it may have happened."""
    try:
        return await client.purchase(location_id, offer, **options)
    except asyncio.CancelledError:
        complain(unknown_outcome(offer.phone_number, "interrupted"))
        raise


def unknown_outcome(phone_number: str, reason: str) -> str:
    """What to do where it is not known whether a number was bought."""
    return (
        f"{phone_number} may be bought or not ({reason}). Do not buy it again before you have "
        f"looked for it with `lcphone numbers --pools --filter {phone_number}`"
    )


def _offer(search: CountrySearch, phone_number: str) -> tuple[AvailableNumber, str | None] | None:
    result = search.result or AvailableNumbers()
    for number in result.numbers:
        if number.phone_number == phone_number:
            return number, result.fingerprint_id
    return None


def _countries_of(phone_number: str) -> list[str]:
    for entry in _COUNTRIES.split():
        dial_code, countries = entry.split(":")
        if phone_number.startswith(f"+{dial_code}"):
            return countries.split("/")
    raise ValueError("the country of this number is not known here: name it with --country")
