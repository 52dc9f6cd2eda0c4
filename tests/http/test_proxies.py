"""A client behind a proxy, and a service whose certificate is from a private CA."""

import asyncio
import os
import re
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from lcphone_async import ConnectFailedError, LCPhoneClient, OAuthTokens, RetryPolicy
from support.tunnels import HOST

TOKEN, PLACE = "pit-very-secret", "loc1"
URL = f"https://{HOST}"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "proxies.md").read_text()
EXAMPLES = re.findall(r"```(python|sh)\n(.*?)```", DOCUMENT, re.DOTALL)


pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def bundle(front, tmp_path, environment):
    """The file with the private CA, which the environment names."""
    file = tmp_path / "ca.pem"
    front.authority.cert_pem.write_to_path(str(file))
    environment.setenv("SSL_CERT_FILE", str(file))
    return file


def new_client(url=URL, **options):
    given = {"retry": RetryPolicy(max_tries=1), "timeout": 10, "trust_env": True, **options}
    return LCPhoneClient(given.pop("token", TOKEN), base_url=url, **given)


async def pools(client):
    async with client:
        return await client.number_pools(PLACE)


@pytest.mark.parametrize(
    "variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "without http://"]
)
async def test_through_a_proxy(proxy, bundle, environment, variable):
    """Requests a tunnel, in which the proxy can read no token."""
    named = proxy.url.removeprefix("http://") if " " in variable else proxy.url
    environment.setenv("HTTPS_PROXY" if " " in variable else variable, named)
    assert await pools(new_client())
    assert proxy.heads[0].startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n")
    assert TOKEN.encode() not in b"".join(proxy.seen)
    assert "Authorization" not in "".join(proxy.heads)


async def test_a_purchase_through_a_proxy(proxy, bundle, environment, lcphone_sandbox):
    """Is made once; if its tunnel is refused, it was not sent and is not open."""
    environment.setenv("HTTPS_PROXY", proxy.url)
    async with new_client() as client:
        found = await client.search_available(PLACE, "US")
        proxy.refusal = 502
        async with new_client() as refused:
            with pytest.raises(ConnectFailedError, match="the proxy refused with 502"):
                await refused.purchase(PLACE, found.numbers[0])
        proxy.refusal = None
        await client.purchase(PLACE, found.numbers[0])
    assert len(lcphone_sandbox.ledger) == 1


async def test_tokens_through_a_proxy(proxy, bundle, environment):
    """Refreshes tokens through the tunnel, too."""
    environment.setenv("HTTPS_PROXY", proxy.url)
    tokens = OAuthTokens(client_id="app", client_secret="s3cret", refresh_token="r3fresh")
    assert await pools(new_client(token=tokens))
    assert b"s3cret" not in b"".join(proxy.seen)
    assert proxy.heads


@pytest.mark.parametrize("no_proxy", [HOST, f"a.example, .{HOST}", "*", f"{HOST}:443", ".test"])
async def test_no_proxy(proxy, bundle, environment, no_proxy):
    """Connects directly to a host of `NO_PROXY`, in either case."""
    environment.setenv("HTTPS_PROXY", proxy.url)
    for variable in ("NO_PROXY", "no_proxy"):
        environment.setenv(variable, no_proxy)
        with pytest.raises(ConnectFailedError, match=f"cannot connect to {HOST}:443"):
            await pools(new_client())
        environment.delenv(variable)
    assert proxy.heads == []


async def test_without_trust_env(proxy, bundle, environment):
    """Reads no variable."""
    environment.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(ConnectFailedError, match=f"cannot connect to {HOST}:443"):
        await pools(new_client(trust_env=False))
    assert proxy.heads == []


async def test_this_machine(proxy, environment, lcphone_sandbox):
    """Connects directly to this machine, even if `NO_PROXY` lacks it."""
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        environment.setenv(variable, proxy.url)
    assert await pools(new_client(lcphone_sandbox.url))
    assert await pools(new_client(lcphone_sandbox.url.replace("127.0.0.1", "localhost")))
    assert proxy.heads == []


def test_an_unencrypted_token(environment):
    """Refuses an `http://` service behind a proxy, unless `NO_PROXY` names it."""
    url, allowed = f"http://{HOST}", {"allow_http": True}
    new_client(url, **allowed)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        environment.setenv(variable, "http://user:hunter2@127.0.0.1:9")
        with pytest.raises(ValueError, match="a proxy could read the tokens") as refused:
            new_client(url, **allowed)
        assert "hunter2" not in str(refused.value)
        environment.setenv("NO_PROXY", HOST)
        new_client(url, **allowed)
        environment.delenv("NO_PROXY")
        environment.delenv(variable)


async def test_an_unencrypted_app_secret(proxy, environment, bundle):
    """Refuses it, too, if only the token endpoint is `http://`."""
    environment.setenv("ALL_PROXY", proxy.url)
    app = {"client_id": "app", "client_secret": "s3cret", "refresh_token": "r3fresh"}
    tokens = OAuthTokens(**app, base_url="http://other.test")
    with pytest.raises(Exception, match=r"a proxy could read|must be https"):
        await pools(new_client(token=tokens, allow_http=True))
    assert proxy.heads == []


async def test_a_proxy_with_a_password(proxy, bundle, environment):
    """Sends the password of the URL; without the right one, the error has a hint."""
    proxy.credentials = "user:hunter 2"
    for url in (proxy.url, proxy.url.replace("//", "//user:wrong@")):
        environment.setenv("HTTPS_PROXY", url)
        with pytest.raises(ConnectFailedError, match="refused with 407: its URL needs") as refused:
            await pools(new_client())
        assert "wrong" not in str(refused.value)
    environment.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:hunter%202@"))
    assert await pools(new_client())


async def test_an_unreachable_proxy(bundle, environment):
    """The error names the proxy without its password."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{port}")
    with pytest.raises(ConnectFailedError, match=f"cannot connect to 127.0.0.1:{port}") as failed:
        await pools(new_client())
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(
    "url", ["socks5://u:hunter2@p:1080", "https://u:hunter2@p:3129", "http://", "http://p:x", "::"]
)
def test_an_unsupported_proxy(environment, url):
    """The constructor refuses it, names the supported kinds, and hides its password."""
    environment.setenv("ALL_PROXY", url)
    with pytest.raises(ValueError, match=r"HTTPS_PROXY .* must be http://") as refused:
        new_client()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("bundle_is", ["missing", "no PEM", "empty", "a folder"])
def test_an_unreadable_bundle(environment, tmp_path, bundle_is):
    """The constructor's error names it."""
    file = tmp_path / "ca.pem"
    if bundle_is == "a folder":
        file.mkdir()
    elif bundle_is != "missing":
        file.write_text("no certificate" if bundle_is == "no PEM" else "")
    environment.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ValueError, match=rf"the CA bundle {file} \(SSL_CERT_FILE\): "):
        new_client()


async def test_an_unknown_ca(proxy, environment):
    """The connection fails, and the error says how to configure the CA."""
    environment.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(ConnectFailedError, match=r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"):
        await pools(new_client())


async def test_a_session_of_the_callers():
    """A caller's session has its own proxy and CAs, so `trust_env` is refused."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ValueError, match="trust_env"):
            new_client(session=session)


@pytest.mark.sample(1)
@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=range(len(EXAMPLES)))
async def test_the_examples_of_the_document(proxy, bundle, environment, kind, example):
    """The examples of the page run, except for the names of the proxy and the location."""
    environment.chdir(bundle.parent)
    if "proxy.example" not in example:
        environment.setenv("HTTPS_PROXY", proxy.url)
    if "ca.pem" in example:
        environment.delenv("SSL_CERT_FILE")
    settings = {"TOKEN": TOKEN, "BASE_URL": URL, "LOCATION_ID": PLACE}
    for name, value in settings.items():
        environment.setenv(f"LCPHONE_{name}", value)
    environment.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    here = example.replace("http://proxy.example:3128", proxy.url).replace("LOCATION\n", "loc1\n")
    if kind == "python":
        environment.setenv("HTTPS_PROXY", proxy.url)
        program = [sys.executable, "-W", "error", "-c", here]
    else:
        program = ["/bin/sh", "-ec", here.replace("LOCATION ", "loc1 ")]
    run = await asyncio.create_subprocess_exec(*program, stdout=-1, stderr=-1)
    out, err = await run.communicate()
    assert (run.returncode, err) == (0, b"")
    assert out
    assert proxy.heads
