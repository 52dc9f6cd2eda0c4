"""`lcphone buy`: no purchase without consent."""

import asyncio
import signal

import pytest

from lcphone_async.sandbox import Fault
from support.raw_server import http, http_json

LOCAL, TOLL_FREE = "+13126994095", "+18444038427"  # for sale in every sandbox
ONE_OFFER = http_json(
    {
        "fingerprintId": "f1",
        "numbers": [{"phoneNumber": LOCAL, "price": {"price": 1.15, "price_unit": "USD"}}],
    }
)
NOT_LISTED = http_json({"numbers": [], "total": 0})


def test_refuses_without_a_terminal(lcphone, lcphone_sandbox):
    """Buys nothing if there is neither a terminal nor `--yes`."""
    assert "--yes" in lcphone.run("buy", LOCAL).complaint
    assert lcphone_sandbox.ledger == []


@pytest.mark.parametrize("number", [LOCAL, TOLL_FREE, "+447475678998"])
def test_yes_buys_exactly_one(lcphone, lcphone_sandbox, number):
    """Buys the number once, after it has shown the offer on stderr."""
    bought = lcphone.run("buy", number, "--yes", "--json")
    assert bought.code == 0
    (line,) = bought.lines
    assert (line["number"], line["location_id"]) == (number, "loc1")
    (entry,) = lcphone_sandbox.ledger
    assert (entry.phone_number, entry.location_id) == (number, "loc1")
    for shown in (number, "USD", "loc1"):
        assert shown in bought.err


def test_says_what_it_bought(lcphone):
    """Shows the number that was bought on stdout."""
    bought = lcphone.run("buy", LOCAL, "--yes")
    assert LOCAL in bought.out
    assert "Chicago, IL, US" in bought.err


@pytest.mark.parametrize(
    ("price", "reason"), [("1.14", "above max_price 1.14"), ("0", "above max_price 0")]
)
def test_max_price_is_kept(lcphone, lcphone_sandbox, price, reason):
    """Buys nothing that costs more than `--max-price`."""
    refused = lcphone.run("buy", LOCAL, "--yes", "--max-price", price)
    assert refused.code == 1
    assert reason in refused.err.splitlines()[-1]
    assert lcphone_sandbox.ledger == []


def test_max_price_that_is_not_passed(lcphone, lcphone_sandbox):
    """Buys a number whose price equals `--max-price`."""
    assert lcphone.run("buy", LOCAL, "--yes", "--max-price", "1.15").code == 0
    assert len(lcphone_sandbox.ledger) == 1


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1,15", "cheap"])
def test_max_price_is_a_price(lcphone, lcphone_sandbox, price):
    """Accepts only finite numbers as a price."""
    refused = lcphone.run("buy", LOCAL, "--yes", "--max-price", price)
    assert refused.code == 2
    assert f"'{price}' is not a price" in refused.err
    assert lcphone_sandbox.requests == []


def test_a_purchase_that_a_proxy_repeats(lcphone, lcphone_sandbox):
    """Is bought, though the response was that the number is gone."""
    lcphone_sandbox.faults.append(Fault(operation="purchase", point="after", replay=1))
    bought = lcphone.run("buy", LOCAL, "--yes", "--json")
    assert (bought.code, bought.lines[0]["confirmed_by"]) == (0, "read-back")
    assert [entry.phone_number for entry in lcphone_sandbox.ledger] == [LOCAL]


def test_a_number_that_no_search_shows(lcphone, lcphone_sandbox):
    """Is not bought with `--yes`, as its price is unknown."""
    lcphone_sandbox.stock.take(LOCAL)
    refused = lcphone.run("buy", LOCAL, "--yes")
    assert "unknown" in refused.err
    assert "no search shows this number" in refused.err.splitlines()[-1]
    assert refused.code == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["3126994095"], "E.164"),
        (["+8835100012345"], "--country"),
        ([LOCAL, "--country", "USA"], "two letters"),
    ],
)
def test_arguments_that_cannot_be(lcphone, lcphone_sandbox, arguments, reason):
    """Refuses in one line before anything is sent."""
    assert reason in lcphone.run("buy", *arguments, "--yes").complaint
    assert lcphone_sandbox.requests == []


async def test_the_options_go_out(lcphone_raw, raw_server):
    """Sends each option under its wire name, and by default the search's fingerprint."""
    bought = http_json({"data": {"number": LOCAL}}, 201)
    raw_server.reply(ONE_OFFER, bought)
    options = ["--country", "US", "--type", "local", "--address-sid", "AD1", "--bundle-sid", "BU1"]
    options += ["--locality", "Chicago", "--region", "IL", "--payment-intent-id", "pi"]
    options += ["--stripe-account-id", "acct", "--payment-method-id", "pm", "--skip-location-kyc"]
    outcome = await asyncio.to_thread(lcphone_raw.run, "buy", LOCAL, "--yes", *options)
    assert outcome.code == 0
    assert len(raw_server.look_ups) == 1
    assert raw_server.requests[-1].json == {
        "phoneNumber": LOCAL,
        "countryCode": "US",
        "numberType": "local",
        "addressSid": "AD1",
        "bundleSid": "BU1",
        "locality": "Chicago",
        "region": "IL",
        "paymentIntentId": "pi",
        "stripeAccountId": "acct",
        "paymentMethodId": "pm",
        "skipLocationKYC": True,
        "fingerprintId": "f1",
    }


@pytest.mark.exhaustive
async def test_an_unknown_outcome_says_what_to_do(lcphone_raw, raw_server):
    """Prints how to find out the outcome if there was no clear response."""
    raw_server.reply(ONE_OFFER, http(b"<html>", 502))
    options = ("--country", "US", "--yes")
    outcome = await asyncio.to_thread(lcphone_raw.run, "buy", LOCAL, *options)
    assert outcome.code == 1
    last = outcome.err.splitlines()[-1]
    assert f"{LOCAL} may be bought or not" in last
    assert "`lcphone purchases --settle" in last
    assert len(raw_server.requests) == 2
    assert len(raw_server.look_ups) > 1


@pytest.mark.exhaustive
async def test_an_interrupted_purchase_says_what_to_do(bare):
    """Prints how to find out the outcome, and exits 130, on Ctrl-C after the request."""

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST"):
            process.send_signal(signal.SIGINT)
            await reader.read()  # until the client hangs up
        else:
            writer.write(ONE_OFFER if b"/available?" in head else NOT_LISTED)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bare.settings.update(LCPHONE_TOKEN="any", LCPHONE_BASE_URL=f"http://127.0.0.1:{port}")
    async with server:
        process = bare.start("buy", LOCAL, "--country", "US", "--yes", "--location", "loc1")
        out, err = await asyncio.to_thread(process.communicate)
    assert (process.returncode, out) == (130, b"")
    last = err.decode().splitlines()[-1]
    assert f"{LOCAL} may be bought or not (interrupted)" in last
    assert "`lcphone purchases --settle" in last
    (record,) = bare.run("purchases", "--json").lines
    assert (record["phone_number"], record["state"]) == (LOCAL, "unknown")


@pytest.mark.sample(1)
@pytest.mark.parametrize(("answer", "bought"), [(b"y\n", 1), (b"n\n", 0), (b"\n", 0), (b"\x04", 0)])
def test_asks_before_it_spends(lcphone, lcphone_sandbox, answer, bought):
    """On a terminal it asks, and buys only after a yes."""
    code, _, said = lcphone.answered(answer, "buy", LOCAL)
    assert "1.15 USD" in said
    assert "Buy it? [y/N]" in said
    assert len(lcphone_sandbox.ledger) == bought
    assert (code == 0) == bool(bought)
