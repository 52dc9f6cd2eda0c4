"""Purchases of the command: the offer before, and the outcome after."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from .._internal import checks
from ..client import LCPhoneClient
from ..errors import (
    JournalUnavailableError,
    NumberUnavailableError,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
)
from ..models import AvailableNumber, Purchase
from .journals import CommandJournal
from .output import one_line
from .service import print_error


async def look_up(
    client: LCPhoneClient, location_id: str, phone_number: str, country: str | None
) -> tuple[AvailableNumber, str | None]:
    """Searches for a number; returns it with the fingerprint of the search.

    If the search does not find it, only the number itself is returned. Raises `ValueError` if it is
    not a phone number, or if its country is unknown.
    """
    country = country or checks.country_of(checks.e164("NUMBER", phone_number))
    if country is None:
        raise ValueError("the country of this number is unknown: name it with --country")
    try:
        found = await client.find_available(location_id, phone_number, country_code=country)
    except NumberUnavailableError:
        return AvailableNumber(phone_number), None
    return found.numbers[0], found.fingerprint_id


async def purchase(
    client: LCPhoneClient,
    journal: CommandJournal,
    location_id: str,
    offer: AvailableNumber,
    **options: Any,
) -> Purchase:
    """Buys a number. If the outcome is unknown, prints how to find it out."""
    number = offer.phone_number
    try:
        return await client.purchase(location_id, offer, **options)
    except asyncio.CancelledError:
        print_error(_in_doubt_message(number, "interrupted", journal))
        raise
    except PurchaseOutcomeUnknownError as error:
        lost = isinstance(error.__cause__, JournalUnavailableError)
        source = f"journal {journal.path}: " if lost else ""
        problem = _in_doubt_message(number, source + error.reason, journal)
    except PurchaseInProgressError:
        problem = (
            f"{number} is being bought already, or an earlier purchase is not reconciled: nothing"
            f" was sent. `{journal.reconciling}` finds out its outcome"
        )
    print_error(problem)
    raise click.exceptions.Exit(1)


async def reconcile(client: LCPhoneClient) -> bool:
    """Prints the outcome of each open purchase; returns true if no purchase is open."""
    records = await client.reconcile()
    for record in records:
        later = "look again later" if record.is_open else None
        outcome = ": ".join(filter(None, (record.state, record.reason, later)))
        click.echo(one_line(f"{record.phone_number} for {record.location_id}: {outcome}"), err=True)
    return not any(record.is_open for record in records)


def _in_doubt_message(phone_number: str, reason: str, journal: CommandJournal) -> str:
    return (
        f"{phone_number} may be bought or not ({reason}). Do not buy it again: "
        f"`{journal.reconciling}` finds out"
    )
