"""Prism, between the client and the sandbox, validates both against the vendor's documents.

It is not a requirement of this project. Install it with
`npm install --prefix DIR @stoplight/prism-cli`, and set `VENDOR_NODE_MODULES=DIR/node_modules`. The
documents of the phone system and of OAuth are merged, with the corrections of
`tests/support/vendor_documents.py`.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from lcphone_async import (
    AgencyTokens,
    LCPhoneClient,
    NumberUnavailableError,
    OAuthTokens,
    PhoneSystemNotConnectedError,
    RetryPolicy,
)
from lcphone_async.sandbox import LocationSettings, OAuthSettings, Sandbox
from support.purchase_parameters import EVERY_PARAMETER
from support.vendor_documents import CONTRACTS, corrected, needs_documents

NODE_MODULES = os.environ.get("VENDOR_NODE_MODULES", "")
PRISM = Path(NODE_MODULES) / ".bin" / "prism"
APP = {"client_id": "app-1", "client_secret": "s3cret"}
FILTERS = {
    "number_types": ["local", "tollFree"],
    "first_part": "8",
    "last_part": "5",
    "anywhere": "3",
    "sms_enabled": False,
    "mms_enabled": False,
    "voice_enabled": True,
}
ONLY_V3 = {"payment_intent_id", "stripe_account_id", "payment_method_id"}

pytestmark = [
    needs_documents,
    pytest.mark.skipif(
        not NODE_MODULES or not PRISM.exists() or shutil.which("node") is None,
        reason="VENDOR_NODE_MODULES does not say where @stoplight/prism-cli is",
    ),
]


def whole_document(contract):
    """The documents of the phone system and of OAuth, merged into one."""
    found, oauth = corrected(contract), corrected(contract, "oauth")
    found["paths"] |= oauth["paths"]
    for part, names in oauth["components"].items():
        found["components"][part] |= names
    return found


@contextmanager
def prism(document, upstream, log):
    """Starts a validating proxy in front of `upstream`, where every violation is an error."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PRISM, "proxy", str(document), upstream, "--errors", "-p", str(port)]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            while "is listening" not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(params=CONTRACTS)
def contract(request):
    return request.param


@pytest.fixture
def sandbox():
    """A strict sandbox with an agency of three locations."""
    locations = {
        "loc1": LocationSettings(numbers=120),
        "loc2": LocationSettings(numbers=0),
        "loc3": LocationSettings(connected=False),
    }
    app = OAuthSettings(**APP, company_id="acme", app_id="app", locations=list(locations))
    with Sandbox(oauth_app=app, locations=locations, strict=True).in_thread() as running:
        yield running


@pytest.fixture
def proxied(sandbox, contract, tmp_path):
    """A client's options to go through Prism; fails if Prism logged a violation."""
    document, log = tmp_path / "openapi.json", tmp_path / "prism.log"
    document.write_text(json.dumps(whole_document(contract)))
    with prism(document, sandbox.url, log) as url:
        yield {"base_url": url, "api_version": contract, "retry": RetryPolicy(max_tries=1)}
    assert "iolation" not in log.read_text()


async def test_every_call_of_the_client(sandbox, proxied, contract):
    """All operations, with an agency's tokens, cause no violation in either direction."""
    agency = OAuthTokens(**APP, refresh_token=sandbox.oauth.install().refresh_token)
    tokens = AgencyTokens(company_id="acme", source=agency)
    async with LCPhoneClient(tokens, **proxied) as client:
        assert [one.id async for one in client.locations("acme", "app", page_size=2)] == [
            "loc1", "loc2", "loc3",
        ]  # fmt: skip
        assert len(await client.number_pools("loc1")) == 2
        more = {"include_rcs_sender_ids": True} if contract == "v3" else {}
        walk = client.active_numbers("loc1", page_size=50, skip_number_pool=False, **more)
        assert len([number async for number in walk]) == 120
        assert [number async for number in client.active_numbers("loc2")] == []
        page = await client.active_numbers_page("loc1", search_filter="+44", page_size=7)
        assert len(page.numbers) == 7
        found = await client.search_available("loc1", "US", **FILTERS)
        countries = client.search_countries("loc1", ["GB", "DE", "SE"], **FILTERS)
        assert {search.country_code async for search in countries if search.result} == {
            "GB", "DE", "SE",
        }  # fmt: skip
        options = {
            name: value
            for name, value in EVERY_PARAMETER.items()
            if contract == "v3" or name not in ONLY_V3
        }
        bought = await client.purchase("loc1", found.numbers[0], **options)
        assert bought.number == found.numbers[0].phone_number
        order = await client.purchase_many("loc1", found.numbers[1:], count=2, **options)
        assert len(order.bought) == 2
        if contract != "v3":  # the document declares no errors
            with pytest.raises(NumberUnavailableError):
                await client.purchase("loc2", found.numbers[0], **options)
            with pytest.raises(PhoneSystemNotConnectedError):
                await client.active_numbers_page("loc3")
    assert len(sandbox.ledger) == 3


async def test_minimal_calls_of_2021(sandbox, proxied, contract):
    """2021-07-28 requires few parameters: calls without the others are valid."""
    if contract == "v3":
        return
    async with LCPhoneClient(sandbox.oauth.install("loc1").access_token, **proxied) as client:
        found = await client.search_available("loc1", "US")
        assert (await client.search_available("loc1", "US", number_types=None)).numbers == ()
        assert await client.purchase("loc1", found.numbers[0].phone_number)
        assert (await client.active_numbers_page("loc1")).numbers
        grant = await client.exchange_code(**APP, code=sandbox.oauth.authorize("loc2"))
        assert grant
