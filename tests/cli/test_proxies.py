"""The command behind a proxy, and before a service whose certificate is of a private CA."""

import asyncio

import pytest

from support.tunnels import HOST

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def bundle(front, tmp_path):
    """The file with the private CA."""
    file = tmp_path / "ca.pem"
    front.authority.cert_pem.write_to_path(str(file))
    return str(file)


@pytest.fixture
def run(bare):
    """Runs the command for the service behind the proxy."""
    lcphone = bare.for_url(f"https://{HOST}")

    async def running(*arguments, **settings):
        return await asyncio.to_thread(lcphone.run, *arguments, **settings)

    return running


@pytest.mark.exhaustive
async def test_through_a_proxy(run, proxy, bundle, lcphone_sandbox):
    """Uses the proxy of the environment, in either case, and trusts the CAs of the bundle."""
    assert (await run("pools", HTTPS_PROXY=proxy.url, SSL_CERT_FILE=bundle)).code == 0
    assert (await run("pools", "--ca-bundle", bundle, https_proxy=proxy.url)).code == 0
    other = {"ALL_PROXY": proxy.url, "SSL_CERT_FILE": "/no such file"}
    assert (await run("whoami", "--ca-bundle", bundle, **other)).code == 0
    assert len(proxy.heads) >= 3
    assert b"pit-" not in b"".join(proxy.seen)


async def test_a_purchase_through_a_proxy(run, proxy, bundle, lcphone_sandbox):
    """Buys once."""
    bought = await run("buy", "+13126994095", "--yes", HTTPS_PROXY=proxy.url, SSL_CERT_FILE=bundle)
    assert bought.code == 0
    assert len(lcphone_sandbox.ledger) == 1


async def test_a_sandbox(lcphone, proxy):
    """Is reached without a proxy."""
    named = {"HTTP_PROXY": proxy.url, "ALL_PROXY": proxy.url}
    assert (await asyncio.to_thread(lcphone.run, "pools", **named)).code == 0
    assert proxy.heads == []


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"SSL_CERT_FILE": "/no/such.pem"}, "CA bundle /no/such.pem (SSL_CERT_FILE): No such file"),
        ({"SSL_CERT_FILE": __file__}, "it holds no certificate in PEM"),
        ({"HTTPS_PROXY": "socks5://u:hunter2@p:1"}, "must be http://HOST:PORT"),
        ({"LCPHONE_BASE_URL": f"http://{HOST}", "HTTP_PROXY": "http://p:1"}, "https://"),
    ],
)
async def test_what_cannot_be_used(run, settings, problem):
    """Is one line without a password; commands that send nothing ignore it."""
    refused = await run("pools", **settings)
    assert problem in refused.complaint
    assert "hunter2" not in refused.err
    assert (await run("purchases", **settings)).code == 0


@pytest.mark.exhaustive
async def test_a_proxy_that_refuses(run, proxy, bundle):
    """Is one line each: a password that is missing, a target that is not allowed, an unknown CA."""
    named = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": bundle}
    unknown = await run("pools", HTTPS_PROXY=proxy.url)
    assert "CERTIFICATE_VERIFY_FAILED" in unknown.complaint
    assert "--ca-bundle" in unknown.complaint
    proxy.refusal = 403
    assert "the proxy refused with 403" in (await run("pools", **named)).complaint
    proxy.credentials = "user:word"
    assert "refused with 407: its URL needs a user name" in (await run("pools", **named)).complaint
