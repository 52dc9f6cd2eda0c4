"""Base URLs: an ambiguous one is refused, so that the token reaches only its service."""

import pytest
import pytest_asyncio

from lcphone_async import AgencyTokens, LCPhoneClient, LCPhoneError, OAuthTokens, RetryPolicy
from support.raw_server import RawServer, http, http_json

NO_SECOND_PARTY = [
    "https://good@evil.test",
    "https://good:secret@evil.test",
    "https://@evil.test",
    "https://:@evil.test",
    "https://good\\@evil.test",
    "http://127.0.0.1\\@evil.test",
    "http://evil.test#@127.0.0.1",
    "http://localhost:80@evil.test",
    "https://evil.test#",
    "https://evil.test?",
    "https://evil.test/?",
    "https://evil.test/?x=1",
    "https://evil.test/#x",
]
NO_SUCH_URL = [
    "",
    "evil.test",
    "//evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "https://",
    "https://:443",
    "ftp://evil.test",
    "ws://evil.test",
    "file:///etc/passwd",
    "unix:///tmp/x",
    "javascript:alert(1)",
    " https://evil.test",
    "https://evil.test ",
    "https://evil.test\t",
    "https://evil.test\r\nX-Evil: 1",
    "https://evil.test\x00",
    "https://evil.test/\ud800",
    "https://evil test",
    "https://evil.test/a b",
    "https://evil.test/\u2028",
    "https://good\\evil.test",
    "https://good.test\\.evil.test",
    "https://<evil>",
    'https://evil"',
    "https://evil,good.test",
    "https://evil%2egood.test",
    "https://evil%40good.test",
    "https://evil%00good.test",
    "https://evil.test:0",
    "https://evil.test:65536",
    "https://evil.test:999999",
    "https://evil.test:-1",
    "https://evil.test:+80",
    "https://evil.test:8_0",
    "https://evil.test:٨٠",
    "https://evil.test:",
    "https://evil.test:80:90",
    "https://.evil.test",
    "https://evil..test",
    "https://-evil.test",
    f"https://{'a' * 64}.test",
    f"https://{'a.' * 130}test",
    "https://xn--a.test",
    "https://xn--.test",
    "https://bücher.test",
    "https://\uff45vil.test",
    "https://evil\u3002test",
    "https://evil.test\uff0fgood",
    "https://evil\u2100.test",
    "http://\uff11\uff12\uff17.0.0.1",
    "http://localho\u017ft",
    "http://local\u00adhost",
    "https://evil\u202e.test",
    "https://[::1",
    "https://::1",
    "https://[::1]good",
    "https://[::1].evil.test",
    "https://[127.0.0.1]",
    "https://[v1.x]",
    "https://[fe80::1%eth0]",
    "https://[fe80::1%25eth0]",
    "http://[::1%lo]",
    "https://evil.test/..",
    "https://evil.test/a/../b",
    "https://evil.test/.",
    "https://evil.test/a/%2e%2E/b",
    "https://evil.test/.%2e",
    "https://evil.test//good.test",
    "https://evil.test/é",
    "https://evil.test/a%",
    "https://evil.test/a\\b",
    "https://evil.test/" + "a" * 1_000_000,
]
ELSEWHERE = [
    "http://10.0.0.1",
    "http://lcphone.test:8080",
    "HTTP://x",
    "http://localhost.evil.test",
    "http://localhost.",
    "http://127.0.0.1.evil.test",
    "http://127.0.0.1.",
    "http://127.1",
    "http://0x7f.1",
    "http://0177.0.0.1",
    "http://2130706433",
    "http://0",
    "http://0.0.0.0",
    "http://[::]",
    "http://[::ffff:10.0.0.1]",
]
THIS_MACHINE = [
    "http://localhost:1",
    "http://LOCALHOST",
    "http://127.0.0.1",
    "http://127.8.8.8:80",
    "http://[::1]:8080",
    "http://[0:0:0:0:0:0:0:1]",
    "http://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]",
]
APP = {"client_id": "a", "client_secret": "b", "refresh_token": "r"}


def from_env(url, monkeypatch):
    monkeypatch.setenv("LCPHONE_BASE_URL", url)
    return LCPhoneClient.from_env(token="t")


TAKERS = {
    "client": lambda url, _: LCPhoneClient("t", base_url=url),
    "environment": from_env,
    "app": lambda url, _: LCPhoneClient(OAuthTokens(**APP, base_url=url)),
    "agency": lambda url, _: LCPhoneClient(AgencyTokens(company_id="c", source="t", base_url=url)),
}
NOT_IN_AN_ENVIRONMENT = {"", "https://evil.test\x00", "https://evil.test/\ud800"}


@pytest.fixture(params=TAKERS)
def take(request, monkeypatch):
    """Creates a client with a base URL from an argument, the environment or a token source."""

    def taken(url):
        if request.param == "environment" and url in NOT_IN_AN_ENVIRONMENT:
            pytest.skip("not possible in an environment variable")
        return TAKERS[request.param](url, monkeypatch)

    return taken


@pytest_asyncio.fixture
async def elsewhere():
    """Another server, which must receive no request."""
    async with RawServer() as server:
        yield server


@pytest.mark.parametrize("url", NO_SECOND_PARTY)
def test_credentials_queries_and_fragments(take, url):
    """Refuses them, even empty ones, and does not repeat them in the error."""
    with pytest.raises(ValueError, match="base_url must have no credentials") as caught:
        take(url)
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("url", NO_SUCH_URL, ids=lambda url: ascii(url)[:50])
def test_invalid_urls(take, url):
    """Refuses other schemes, and invalid or ambiguous hosts, ports and paths."""
    with pytest.raises(ValueError, match="base_url") as caught:
        take(url)
    assert "allow_http" not in str(caught.value)


@pytest.mark.parametrize("url", ELSEWHERE)
def test_http_is_refused(take, url):
    """Refuses to send a token unencrypted, unless the caller allows it explicitly."""
    with pytest.raises(ValueError, match="allow_http=True"):
        take(url)
    LCPhoneClient("t", base_url=url, allow_http=True)


@pytest.mark.parametrize("url", THIS_MACHINE)
def test_http_on_this_machine(take, url):
    """Accepts `http://` for loopback addresses."""
    take(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://services.leadconnectorhq.com",
        "HTTPS://Proxy.Test:65535/lc-phone/v1.0/~x;y=1,2/a%2Fb/...",
        "https://proxy.test.",
        "https://my_proxy-1.test",
        "https://xn--bcher-kva.test",
        "https://10.0.0.1",
        "https://[2001:db8::1]:8443",
    ],
)
def test_valid_urls(take, url):
    """Accepts names, addresses, ports and paths unchanged."""
    take(url)


@pytest.mark.parametrize("path", ["", "/", "///", "/proxy", "/proxy/", "/a%2Fb/...;c=%2e%2e%2e"])
async def test_a_base_url_may_have_a_path(raw_server, path):
    """Appends the API's paths to the base URL's own path, without its trailing slashes."""
    raw_server.reply(http_json({"numbers": []}))
    async with LCPhoneClient("t", base_url=raw_server.url + path) as client:
        await client.active_numbers_page("a")
    assert raw_server.request.path == f"{path.rstrip('/')}/phone-system/numbers/location/a"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_token_endpoints_follow_no_redirect(raw_server, elsewhere, contract, status):
    """Follows no redirect with a refresh, a code or an agency's token."""
    raw_server.reply(http(status=status, headers={"Location": f"{elsewhere.url}/oauth/token"}))
    app = {"client_id": "app", "client_secret": "the-secret"}
    options = {"base_url": raw_server.url, "api_version": contract, "retry": RetryPolicy(1)}
    for source in (
        OAuthTokens(**app, refresh_token="the-refresh-token"),
        AgencyTokens(company_id="c", source="the-agency-token"),
    ):
        async with LCPhoneClient(source, **options) as client:
            with pytest.raises(LCPhoneError, match="redirects are not followed"):
                await client.number_pools("loc1")
    async with LCPhoneClient("t", **options) as client:
        with pytest.raises(LCPhoneError, match="redirects are not followed"):
            await client.exchange_code("the-code", **app)
        with pytest.raises(LCPhoneError, match="redirects are not followed"):
            await anext(client.locations("company", "app"))
    assert len(raw_server.requests) == 4
    assert elsewhere.connections == 0
