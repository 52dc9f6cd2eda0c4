"""The inputs with which `support/fuzz.py` found a bug, byte for byte."""

import pytest

from support.any_response import assert_good, from_text

FINDINGS = {
    "a call service that is an object could not be hashed": (
        b'pools 200\n\n{"data": [{"id": "p1", "inboundCallService": {"value": {"to": 1}}}]}'
    ),
    "a phone number with spaces was taken for a trace id": (
        b'list 409\nRetry-After: 9\nX-RateLi 9\n\n{"traceId": "+1 (830) 555-1234"}'
    ),
    "a byte that is not UTF-8 stood in a phone number": (
        b'list 429\n\nA list [{"friendlyName": "\\udca883", "new": "+1 (830) 5\xff55-1234"}]'
    ),
    "many signs stood in a phone number": b'search 400\n\n{"message": "830-----555 ()...() 1234"}',
    "signs that cannot be seen stood in a token": (
        b'pools 401\n\nz{"_id": "pit-5ec' + b"\x16" * 82 + b're7-c0ffee"}'
    ),
}


@pytest.mark.parametrize("text", FINDINGS.values(), ids=FINDINGS.keys())
def test_findings(text):
    """Only `LCPhoneError` is raised, both decoders agree, and no error has a secret."""
    assert_good(*from_text(text))
