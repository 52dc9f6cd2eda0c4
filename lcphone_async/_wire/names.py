"""What the wire calls the fields of the models."""

from __future__ import annotations

import re

from ..models import ActiveNumber, ActiveNumbersPage, Capabilities, Location, Price, Purchase

ENVELOPE = ("status", "message", "statusCode")
"""What v3 says beside `data`."""

# Where a field is not just its own name in camelCase, or has a twin in the other contract.
_SPELLINGS: dict[tuple[type, str], tuple[str, ...]] = {
    (ActiveNumber, "date_added"): ("dateAdded", "dateCreated"),
    (ActiveNumbersPage, "is_under_lc"): ("isUnderLc", "isUnderGhl"),
    (Capabilities, "sms"): ("sms", "SMS"),
    (Capabilities, "mms"): ("mms", "MMS"),
    (Location, "id"): ("_id", "id"),
    (Price, "number_type"): ("number_type",),
    (Price, "price_unit"): ("price_unit",),
    (Purchase, "confirmed_by"): (),
    (Purchase, "location_id"): ("locationId", "location_id"),
    (Purchase, "under_lc_account"): ("underLcAccount", "under_ghl_account"),
}


def camel(name: str) -> str:
    """A Python name as the wire spells it.

    >>> camel("is_default_number")
    'isDefaultNumber'
    """
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def spellings(cls: type, field: str) -> tuple[str, ...]:
    """The wire's names for a model's field, the usual one first; none where it is ours alone."""
    if field == "extra":
        return ()
    return _SPELLINGS.get((cls, field), (camel(field),))
