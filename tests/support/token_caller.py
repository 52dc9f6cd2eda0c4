"""A plain HTTP client of the sandbox's token endpoints."""

from support.response_schemas import TOKEN_OPERATIONS, check

APP = {"client_id": "app-1", "client_secret": "s3cret"}
LOCATIONS = [f"loc{n}" for n in range(45)]
BAD_TOKEN = (401, "Invalid token: access token is invalid")
BAD_REFRESH = (400, "Invalid grant: refresh token is invalid")
CAMEL = {
    "client_id": "clientId",
    "client_secret": "clientSecret",
    "grant_type": "grantType",
    "refresh_token": "refreshToken",
    "user_type": "userType",
}
SNAKE = {
    "access_token": "accessToken",
    "refresh_token": "refreshToken",
    "expires_in": "expiresIn",
    "token_type": "tokenType",
}


class App:
    """Calls the token endpoints of one contract, and validates the responses."""

    def __init__(self, session, sandbox, version):
        self.session, self.sandbox, self.version = session, sandbox, version

    async def token(self, grant_type, *, as_json=False, **fields):
        """Returns the status, and the response with v3's names, or an error's message."""
        sent = {**APP, "grant_type": grant_type, **fields}
        if self.version == "v3":
            sent = {CAMEL.get(name, name): value for name, value in sent.items()}
        body = {"json": sent} if as_json else {"data": sent}
        return await self._call("token", **body)

    async def refresh(self, refresh_token, **fields):
        return await self.token("refresh_token", refresh_token=refresh_token, **fields)

    async def location_token(self, bearer, location, company="company"):
        return await self._call(
            "location-token", bearer, data={"companyId": company, "locationId": location}
        )

    async def installed(self, bearer, **params):
        """Returns the status, the ids of the page, and the whole body."""
        params = {"companyId": "company", "appId": "app", **params}
        status, body = await self._call("installed-locations", bearer, params=params)
        ids = [found["_id"] for found in body.get("locations", body.get("items", ()))]
        return status, ids, body

    async def installed_refused(self, bearer, **params):
        """Returns the status, and the error: v3's own envelope, or the usual message."""
        params = {"companyId": "company", "appId": "app", **params}
        status, refusal = await self._call("installed-locations", bearer, params=params)
        return status, refusal

    async def active(self, bearer, location="loc1"):
        """Returns the status of a phone operation, and an error's message."""
        url = f"{self.sandbox.url}/phone-system/numbers/location/{location}"
        headers = {"Authorization": f"Bearer {bearer}", "Version": self.version}
        async with self.session.get(url, headers=headers) as response:
            body = await response.json()
            return response.status, body.get("message") if response.status > 299 else None

    async def _call(self, operation, bearer="", **options):
        method, path = TOKEN_OPERATIONS[self.version][operation]
        headers = {"Version": self.version} | (
            {"Authorization": f"Bearer {bearer}"} if bearer else {}
        )
        url = self.sandbox.url + path
        async with self.session.request(method, url, headers=headers, **options) as response:
            body = await response.json()
        check(self.version, operation, response.status, body)
        if response.status > 299:
            return response.status, body["message"] if "message" in body else body["error"]
        spelled = {new: body[old] for old, new in SNAKE.items() if old in body}
        return response.status, body | spelled


def outcomes(sandbox):
    """The token requests in a sandbox's ledger: grant type, location and outcome of each."""
    return [(e.grant_type, e.location_id, e.outcome) for e in sandbox.oauth.ledger]
