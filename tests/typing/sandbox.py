"""The sandbox as a type checker sees it; only mypy runs this file."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, assert_type

from lcphone_async import LCPhoneClient
from lcphone_async.sandbox import (
    Fault,
    Grant,
    LedgerEntry,
    Location,
    LocationSettings,
    Number,
    OAuthSettings,
    Pool,
    RequestRecord,
    Sandbox,
    TokenEntry,
    TokenSettings,
)


def settings() -> Sandbox:
    """A sandbox accepts every documented argument."""
    app = OAuthSettings(
        client_id="app-1",
        client_secret="s3cret",
        app_id="app",
        company_id="company",
        locations=["loc1"],
        scopes=["phonenumbers.read"],
        expires_in=60,
        refresh_expires_in=3600.0,
        grace=30,
        reconnects=True,
    )
    token = TokenSettings(locations=["loc1"], scopes={"a"}, kind="location", app="mine")
    location = LocationSettings(
        numbers=2_500, pools=3, account_status="suspended", under_lc=False, connected=True
    )
    fault = Fault(
        operation="purchase",
        location="loc1",
        nth=2,
        probability=0.5,
        times=3,
        limit=20,
        point="after",
        delay=1.5,
        change="release",
        replay=1,
        status=503,
        retry_after="soon",
        body={"message": ["one"]},
        damage="cut-off",
    )
    return Sandbox(
        host="localhost",
        port=8080,
        allowed_hosts=["sandbox"],
        list_lag=1.5,
        seed=7,
        tokens={"pit-a": token},
        oauth_app=app,
        locations={"loc1": location},
        profile=["rfc2822-dates", "no-total"],
        strict=True,
        numbers_per_location=10,
        max_requests=50,
        period=5,
        daily_quota=1000,
        keep_requests=10,
        record=Path("traffic.jsonl"),
        clock=lambda: 0.0,
        faults=[fault],
    )


async def state(sandbox: Sandbox) -> None:
    """What it holds has types."""
    async with sandbox as running:
        assert_type(running, Sandbox)
        assert_type(running.url, str)
    assert_type(sandbox.ledger, list[LedgerEntry])
    assert_type(sandbox.ledger[0].time, datetime)
    assert_type(sandbox.requests, list[RequestRecord])
    assert_type(sandbox.known_locations, list[Location])
    assert_type(sandbox.profiles, list[str])
    location = sandbox.location("loc1")
    assert_type(location.numbers[0], Number)
    assert_type(location.numbers[:2], Sequence[Number])
    assert_type(location.pools, tuple[Pool, ...])
    assert_type(location.add("+18305551234"), Number)
    sandbox.faults.extend([Fault(delay=1)])
    assert_type(list(sandbox.faults), list[Fault])
    assert_type(sandbox.oauth.install("loc1"), Grant)
    assert_type(sandbox.oauth.authorize(), str)
    assert_type(sandbox.oauth.ledger, list[TokenEntry])
    assert_type(
        sandbox.oauth.ledger[0].grant_type,
        Literal["authorization_code", "refresh_token", "location"],
    )
    sandbox.oauth.suspended.add("loc1")
    sandbox.reset()


def fixtures(lcphone_sandbox: Sandbox, lcphone_client: LCPhoneClient) -> None:
    """A thread's sandbox is one too, and the fixtures are what their names say."""
    with lcphone_sandbox.in_thread() as running:
        assert_type(running, Sandbox)
    assert_type(lcphone_client, LCPhoneClient)
