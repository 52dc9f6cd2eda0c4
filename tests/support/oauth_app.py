"""An OAuth app that is installed in a sandbox, and the clock of both."""

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


@define
class App:
    """An OAuth app in a sandbox: its token sources, clients and requests."""

    sandbox: Sandbox
    contract: str
    retry: RetryPolicy = field(factory=lambda: RetryPolicy(max_tries=3, initial_wait=0))

    @property
    def oauth(self):
        return self.sandbox.oauth

    def tokens(self, grant=None, **options):
        """The token source of an installation."""
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
        """The number of requests to an endpoint, successful or not."""
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
