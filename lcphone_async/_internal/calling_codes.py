"""Countries: their codes, and the digits with which their phone numbers begin."""

from __future__ import annotations

import functools
import itertools
import re
from typing import Any

# ISO 3166-1 alpha-2. AC, TA and XK have phone numbers, but no official code.
_CODES = (
    "AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ "
    "BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO "
    "DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU "
    "GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW "
    "KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU "
    "MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW "
    "PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD "
    "TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE "
    "YT ZA ZM ZW"
)
COUNTRY_CODES = frozenset(_CODES.split())

# Codes that people write for a country, and its own.
MEANT = {"EL": "GR", "EN": "GB", "JA": "JP", "UK": "GB"}


def national_part(country: str, start: str) -> str:
    """Returns a number's first digits without the country's calling code and trunk prefix.

    Digits with which a number of the country can begin are left as they are.
    Raises `ValueError` for `+`, or an exit code such as 011, and another calling code, and if
    nothing is left.
    """
    import phonenumbers

    code = phonenumbers.country_code_for_region(country)
    if not code:  # Antarctica and a few islands are numbered in the plans of others
        if start.startswith("+"):
            raise ValueError(f"has a country code, but {country} has none of its own: leave it out")
        return start
    abroad = rf"(?:\+|00|{_plan(country).international_prefix})"
    national = re.sub(rf"^{abroad}{code}", "", start)
    is_from_abroad = national == start and re.match(abroad, start)
    if is_from_abroad and (start.startswith("+") or not _can_begin(country, start)):
        raise ValueError(f"has another country code than that of {country}, +{code}")
    trunk = phonenumbers.ndd_prefix_for_region(country, strip_non_digits=True) or ""
    for prefix in (str(code), trunk):
        if national.startswith(prefix) and not _can_begin(country, national):
            national = national.removeprefix(prefix)
    if start and not national:
        raise ValueError("holds no more than a country code")
    return national


def _plan(country: str) -> Any:
    from phonenumbers import PhoneMetadata

    return PhoneMetadata.metadata_for_region(country)


@functools.lru_cache
def _can_begin(country: str, start: str) -> bool:
    """Whether a national number of the country can begin with these digits.

    Two more digits and a repeated one try all that numbering plans distinguish.
    """
    numbers = _plan(country).general_desc
    if numbers is None or numbers.national_number_pattern is None:
        return True
    plan = re.compile(numbers.national_number_pattern)
    endings = [
        "".join(next_two) + last * 15
        for next_two in itertools.product("0123456789", repeat=2)
        for last in "0123456789"
    ]
    return any(
        plan.fullmatch((start + ending)[:length])
        for length in numbers.possible_length
        if length >= len(start)
        for ending in endings
    )
