"""Around a purchase: what a number is and costs, before; what became of it, after."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import click

from .. import _checks as checks
from ..client import LCPhoneClient
from ..errors import PurchaseInProgressError, PurchaseOutcomeUnknownError
from ..models import AvailableNumber, Purchase
from .journals import CommandJournal
from .output import plain
from .service import complain

_TYPES = ("local", "tollFree", "mobile")
_LONGEST_CODE = len("+123")


async def look_up(
    client: LCPhoneClient, location_id: str, phone_number: str, country: str | None
) -> tuple[AvailableNumber, str | None]:
    """The number as a search shows it, and that search's fingerprint.

    Where the search does not show it, only the number itself is known. Raises `ValueError` if it
    is no number or its country must be told.
    """
    checks.e164("NUMBER", phone_number)
    found = await client.search_available(
        location_id,
        country or _country_of(phone_number),
        number_types=_TYPES,
        last_part=phone_number[_LONGEST_CODE:],
    )
    for number in found.numbers:
        if number.phone_number == phone_number:
            return number, found.fingerprint_id
    return AvailableNumber(phone_number), None


async def purchase(
    client: LCPhoneClient,
    journal: CommandJournal,
    location_id: str,
    offer: AvailableNumber,
    **options: Any,
) -> Purchase:
    """Buys it. Where that leaves it open, says how to find out what became of it."""
    number = offer.phone_number
    try:
        return await client.purchase(location_id, offer, **options)
    except asyncio.CancelledError:
        complain(_in_doubt(number, "interrupted", journal))
        raise
    except PurchaseOutcomeUnknownError as error:
        problem = _in_doubt(number, error.reason, journal)
    except sqlite3.Error as error:  # the purchase was sent by then
        problem = _in_doubt(number, f"journal {journal.path}: {error}", journal)
    except PurchaseInProgressError:
        problem = (
            f"{number} is being bought already, or was and is not settled: nothing was sent. "
            f"`{journal.settling}` finds out what became of it"
        )
    complain(problem)
    raise click.exceptions.Exit(1)


async def settle(client: LCPhoneClient) -> bool:
    """Finds out what became of the open purchases and says it of each; whether all are settled."""
    settled = await client.settle()
    for record in settled:
        later = "look again later" if record.is_open else None
        outcome = ": ".join(filter(None, (record.state, record.reason, later)))
        click.echo(plain(f"{record.phone_number} for {record.location_id}: {outcome}"), err=True)
    return not any(record.is_open for record in settled)


def _in_doubt(phone_number: str, reason: str, journal: CommandJournal) -> str:
    return (
        f"{phone_number} may be bought or not ({reason}). Do not buy it again: "
        f"`{journal.settling}` finds out"
    )


def _country_of(phone_number: str) -> str:
    import phonenumbers

    region = phonenumbers.region_code_for_number(phonenumbers.parse(phone_number))
    if region is None or not region.isalpha():  # 001 is no country's
        raise ValueError("the country of this number is not known here: name it with --country")
    return region
