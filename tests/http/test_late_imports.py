"""No call imports a module: without file descriptors, the import would fail."""

import json
import subprocess
import sys

import pytest
from attrs import evolve

from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox

STATUSES = (400, 401, 403, 404, 409, 422, 429, 500, 502, 520)

# Every operation and kind of error, a retry, a large body, a journal and tokens on disk.
PROGRAM = """
import asyncio
import json
import logging
import sys
from contextlib import suppress

from lcphone_async import (
    AgencyTokens, FileTokenStore, LCPhoneClient, LCPhoneError, OAuthTokens, PurchaseJournal,
    RetryPolicy,
)
from lcphone_async._http import body

url, oauth_url, folder, code, refresh_token, *statuses = sys.argv[1:]
logging.basicConfig(level=logging.DEBUG, filename=f"{folder}/log")
body._LARGE = 100_000  # decoded in a thread
tried = []


class Blocker:
    def find_spec(self, name, path=None, target=None):
        tried.append(name)
        raise OSError(24, "Too many open files", name)


async def operations(client):
    number = None
    async for number in client.active_numbers("large"):
        pass
    async for page in client.active_number_pages("a", page_size=1_000):
        pass
    await client.active_numbers_page("a")
    found = await client.search_available("a", "US")
    async for found_there in client.search_countries("a", ["GB", "CA"]):
        pass
    await client.purchase("a", found.numbers[0], fingerprint_id=found.fingerprint_id)
    there = await client.search_available("a", "GB")
    await client.purchase_many("a", [there], count=2, order_id="order")
    await client.find_available("a", there.numbers[-1].phone_number)
    await client.reconcile()
    await client.number_pools("a")
    client.rate_limit("a")
    for status in statuses:
        with suppress(LCPhoneError):
            await client.number_pools(f"status-{status}")
    with suppress(LCPhoneError):
        await client.purchase("unknown", "+18305551299")


async def main():
    once = RetryPolicy(max_tries=2, initial_wait=0, max_wait=0, confirm_timeout=0.1)
    options = {"base_url": url, "retry": once, "journal": PurchaseJournal(f"{folder}/journal")}
    app = {"client_id": "id", "client_secret": "secret"}
    store = FileTokenStore(f"{folder}/tokens")
    source = OAuthTokens(**app, refresh_token=refresh_token, store=store)
    of_agency = AgencyTokens(company_id="company-1", source=source)
    unreachable = "http://localhost:1"
    async with (
        LCPhoneClient("pit-any", **options) as client,
        LCPhoneClient(source, base_url=oauth_url, retry=once) as agency,
        LCPhoneClient(of_agency, base_url=oauth_url, retry=once) as of_locations,
        LCPhoneClient("pit-any", base_url=unreachable, retry=once) as nowhere,
    ):
        sys.meta_path.insert(0, Blocker())
        await operations(client)
        async for location in agency.locations("company-1", "app-1"):
            await of_locations.number_pools(location.id)
        await agency.exchange_code(code, **app, redirect_uri="https://example.com")
        with suppress(LCPhoneError):
            await nowhere.number_pools("a")
    print(json.dumps(tried))


asyncio.run(main())
"""


@pytest.mark.exhaustive
def test_calls_import_nothing(tmp_path):
    """Calls import nothing once their client exists, whatever their outcome."""
    settings = OAuthSettings(company_id="company-1", app_id="app-1", locations=["a", "b"])
    faults = [Fault(location=f"status-{status}", status=status) for status in STATUSES]
    faults = [evolve(fault, retry_after=0) for fault in faults]
    faults.append(Fault(location="unknown", operation="purchase", damage="reset"))
    with (
        Sandbox(numbers_per_location=3_000, faults=faults).in_thread() as sandbox,
        Sandbox(oauth_app=settings).in_thread() as app,
    ):
        code = app.oauth.authorize()
        refresh_token = app.oauth.install().refresh_token
        arguments = [sandbox.url, app.url, str(tmp_path), code, refresh_token]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments, *map(str, STATUSES)],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
