"""Call targets are compared as numbers: by the number's country, with the extension."""

import pytest

from lcphone_async.audit import ChangeKind, compare
from support.agency import Place, number, pool

SAME = [
    ("US", "+12125550009", "(212) 555-0009"),
    ("US", "+12125550009", "1 212.555.0009"),
    ("US", "+12125550009", "tel:+1-212-555-0009"),
    ("US", "+442079460018", "011 44 20 7946 0018"),
    ("GB", "+442079460018", "020 7946 0018"),
    ("GB", "020 7946 0018", "0044 (0)20 7946 0018"),
    ("DE", "+4930555003", "030 / 555003"),
    ("MX", "+525512345678", "55 1234 5678"),
    ("US", "+12125550009 x5", "(212) 555-0009 ext. 5"),
]
OTHER = [
    ("US", "+12125550009", "+12125550010"),
    ("US", "+12125550009", "+12125550009 x5"),
    ("US", "+12125550009 x5", "+12125550009 x6"),
    ("US", "+442079460018", "2079460018"),
    ("GB", "+12079460018", "2079460018"),
    ("GB", "+442079460018", "79460018"),
    ("US", "ivr-2025550009", "flow-2025550009"),
    ("US", "ivr-aB", "ivr-Ab"),
]


def plain(text):
    return {"forwardingNumber": text}


def as_service(text):
    return {"inboundCallService": {"type": "forward", "value": text}}


def in_object(text):
    empty = {"label": None} if text.startswith("+") else {}
    return {"inboundCallService": {"type": "forward", "value": {"to": [text], **empty}}}


def places(cases, fields, turn):
    """Two locations for each case: one with a number that forwards, one with a pool that does."""
    found = {}
    for index, (country, *texts) in enumerate(cases):
        forwards = fields(texts[turn])
        phone_number = {"US": "+1212", "GB": "+4420", "DE": "+4930", "MX": "+5255"}[country]
        member = number(f"{phone_number}{7_000_000 + index}", countryCode=country)
        found[f"number {texts}"] = Place([member | forwards])
        if "ivr" not in texts[0]:
            changes = {"forwardingNumber": None, **forwards}
            found[f"pool {texts}"] = Place([member], [pool("p", member["phoneNumber"], **changes)])
    return found


@pytest.mark.parametrize("fields", [plain, as_service, in_object])
@pytest.mark.parametrize("cases", [SAME, OTHER], ids=["same", "other"])
async def test_formats(take, store, agency, fields, cases):
    """Finds another number, extension or text, but not another spelling."""
    for turn in range(2):
        agency.places = places(cases, fields, turn)
        await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        assert comparison.not_compared() == []
        changes = list(comparison.changes())
    assert {one.kind for one in changes} <= {ChangeKind.ROUTING}
    assert {one.location_id for one in changes} == ({*agency.places} if cases is OTHER else set())
