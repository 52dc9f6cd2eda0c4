"""Time that a test stops: the client, the fixtures and the sandbox go on, in any order of tests."""

import pytest

pytest_plugins = ["pytester"]

pytest.importorskip("freezegun")
pytest.importorskip("time_machine")

# Nothing but the frozen name is imported before a test begins, as `import lcphone_async` is lazy.
TESTS = """
import asyncio

import freezegun
import pytest
import time_machine

freezes = {freezes}


async def use(client, sandbox, folder):
    from lcphone_async import LCPhoneClient, PurchaseJournal, RetryPolicy
    from lcphone_async.sandbox import Fault

    async with client:
        found = await client.search_available("a", "US")
        bought = await client.purchase("a", found.numbers[0], max_price=5)
        numbers = [number async for number in client.active_numbers("a")]
        assert bought.number in {{number.phone_number for number in numbers}}
        assert all(number.date_added for number in numbers)
        sandbox.faults.append(Fault(status=503, times=2, delay=0.01))
        assert await client.number_pools("a")
        sandbox.faults.append(Fault(operation="purchase", damage="reset", point="after", times=1))
        assert await client.purchase("a", found.numbers[1])
        assert client.rate_limit("a").as_of
    once = RetryPolicy(max_tries=1, confirm_timeout=0)
    journal = PurchaseJournal(folder / "journal")
    async with LCPhoneClient("any", base_url=sandbox.url, journal=journal, retry=once) as other:
        await other.purchase("a", found.numbers[2])
        if {stops_asyncio}:
            return  # no wait ends
        sandbox.faults.append(Fault(operation="purchase", damage="reset", times=1))
        try:
            await other.purchase("a", "+18305551234")
        except Exception as error:
            assert "may be bought or not" in str(error)
        assert [record.state for record in await other.reconcile()] == ["unknown"]
        assert [record.state for record in await other.reconcile(min_age=0)] == ["not bought"]


def test_frozen(lcphone_client, lcphone_sandbox, tmp_path):
    with freezes:
        asyncio.run(use(lcphone_client, lcphone_sandbox, tmp_path))


def test_thawed(lcphone_client, lcphone_sandbox, tmp_path):
    asyncio.run(use(lcphone_client, lcphone_sandbox, tmp_path))


def test_begun_frozen(request, tmp_path):
    with freezes:
        client = request.getfixturevalue("lcphone_client")
        sandbox = request.getfixturevalue("lcphone_sandbox")
        asyncio.run(use(client, sandbox, tmp_path))


def test_tokens(tmp_path):
    with freezes as frozen:
        from lcphone_async import FileTokenStore, LCPhoneClient, OAuthTokens
        from lcphone_async.sandbox import OAuthSettings, Sandbox

        app = {{"client_id": "id", "client_secret": "secret"}}
        settings = OAuthSettings(**app, company_id="company", app_id="app", locations=["a"])

        async def main(sandbox):
            refresh_token = sandbox.oauth.install().refresh_token
            store = FileTokenStore(tmp_path / "tokens")
            tokens = OAuthTokens(**app, refresh_token=refresh_token, store=store)
            async with LCPhoneClient(tokens, base_url=sandbox.url) as client:
                for refreshes in (1, 2):
                    found = [location.id async for location in client.locations("company", "app")]
                    assert found == ["a"]
                    assert len(sandbox.oauth.ledger) == refreshes
                    frozen.move_to("2031-01-01")

        with Sandbox(oauth_app=settings).in_thread() as sandbox:
            asyncio.run(main(sandbox))


def test_audit(tmp_path):
    with freezes:
        from lcphone_async import LCPhoneClient
        from lcphone_async.audit import audit, export
        from lcphone_async.sandbox import Sandbox

        async def main(url):
            async with LCPhoneClient("any", base_url=url) as client:
                return await audit(client, ["a", "b"], tmp_path / "store")

        with Sandbox().in_thread() as sandbox:
            summary = asyncio.run(main(sandbox.url))
        assert summary.is_complete
        assert 0 < summary.seconds < 60
        export(tmp_path / "store", tmp_path / "numbers.jsonl", "jsonl")


@pytest.mark.skipif({stops_asyncio}, reason="freezegun stops asyncio's own clock unless told")
def test_waits():
    from lcphone_async import LCPhoneClient, RateLimiter, RetryPolicy
    from lcphone_async.sandbox import Fault, Sandbox

    async def main():
        faults = [Fault(status=503, times=2)]
        async with (
            Sandbox(max_requests=2, period=0.2, faults=faults) as sandbox,
            LCPhoneClient(
                "any",
                base_url=sandbox.url,
                limiter=RateLimiter(2, 0.2),
                retry=RetryPolicy(initial_wait=0.01),
            ) as client,
        ):
            await asyncio.gather(*(client.number_pools("a") for _ in range(5)))
            assert 429 not in [request.status for request in sandbox.requests]

    with freezes:
        asyncio.run(main())
"""

FREEZES = {
    "freezegun": "freezegun.freeze_time('2030-01-01')",
    "freezegun, asyncio too": "freezegun.freeze_time('2030-01-01', real_asyncio=True)",
    "time-machine": "time_machine.travel('2030-01-01', tick=False)",
}
NAMES = ["frozen", "thawed", "begun_frozen", "tokens", "audit", "waits"]


@pytest.mark.sample(3)
@pytest.mark.parametrize("names", [NAMES, NAMES[::-1]], ids=["in order", "the other way round"])
@pytest.mark.parametrize("freezes", FREEZES)
def test_time_that_stands_still(pytester, freezes, names):
    """Buys, searches, walks, waits and refreshes while the time stands, and afterwards."""
    stops_asyncio = freezes == "freezegun"
    text = TESTS.format(freezes=FREEZES[freezes], stops_asyncio=stops_asyncio)
    path = pytester.makepyfile(text)
    tests = [f"{path}::test_{name}" for name in names]
    done = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:randomly", *tests)
    done.assert_outcomes(passed=len(names) - stops_asyncio, skipped=stops_asyncio)
