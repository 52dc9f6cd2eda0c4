"""An app that is installed in a sandbox, and a clock that both sides go by."""

import shutil
import subprocess
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import pytest_asyncio
from attrs import define, field

from lcphone_async import LCPhoneClient, OAuthTokens, RateLimiter, RetryPolicy
from lcphone_async.sandbox import OAuthSettings, Sandbox

CLIENT_ID, CLIENT_SECRET = "app-1", "client-secret-9f2b"
COMPANY, APP = "company-1", "app-1"
HOUR = 3600.0


@define
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The time of day, of the service and of the sources: it stands until a test moves it."""
    clock = Clock()
    for module in ("agency", "oauth"):
        monkeypatch.setattr(f"lcphone_async.auth.{module}.time", SimpleNamespace(time=clock))
    return clock


@contextmanager
def mounted(place, *options):
    """Mounts something at a place, as only root can."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("no mount")
    done = subprocess.run([mount, *options, place], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"only root can mount: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run([umount, "--lazy", place], check=True)


@define
class App:
    """An OAuth app in a sandbox, and what a test wants of it."""

    sandbox: Sandbox
    contract: str
    retry: RetryPolicy = field(factory=lambda: RetryPolicy(max_tries=3, first_wait=0))

    @property
    def oauth(self):
        return self.sandbox.oauth

    def tokens(self, grant=None, **options):
        """The source of an installation."""
        grant = grant or self.oauth.install("loc1")
        given = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": grant.refresh_token,
        }
        return OAuthTokens(**{**given, **options})

    def client(self, source, **options):
        given = {
            "base_url": self.sandbox.url,
            "api_version": self.contract,
            "retry": self.retry,
            "limiter": RateLimiter(10_000),
        }
        return LCPhoneClient(source, **{**given, **options})

    def outcomes(self, grant_type="refresh_token"):
        return [e.outcome for e in self.oauth.ledger if e.grant_type == grant_type]

    def asked(self, path="/oauth/token"):
        """How many requests came to an endpoint, whatever became of them."""
        return sum(request.path == path for request in self.sandbox.requests)


def settings(**options):
    given = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "app_id": APP,
        "company_id": COMPANY,
        "locations": ["loc1", *(f"place{number}" for number in range(250))],
        "expires_in": HOUR,
    }
    return OAuthSettings(**{**given, **options})


@pytest.fixture(params=["v3", "2021-07-28"])
def contract(request):
    """Both contracts, one after the other."""
    return request.param


@pytest_asyncio.fixture
async def app(clock, contract):
    """An app whose used refresh tokens end their installation, at once."""
    async with Sandbox(oauth_app=settings(), clock=clock, max_requests=10_000) as sandbox:
        yield App(sandbox, contract)


@pytest_asyncio.fixture
async def v3(clock):
    """The same, where the contract makes no difference."""
    async with Sandbox(oauth_app=settings(), clock=clock, max_requests=10_000) as sandbox:
        yield App(sandbox, "v3")


@pytest_asyncio.fixture
async def lenient(clock):
    """One that gives the answer to a used refresh token again, for 30 seconds."""
    app = settings(grace=30)
    async with Sandbox(oauth_app=app, clock=clock, max_requests=10_000) as sandbox:
        yield App(sandbox, "v3")
