"""`lcphone login`, `whoami` and `locations`: tokens and their permissions."""

from __future__ import annotations

import os
import sys
import time
from contextlib import aclosing, suppress
from typing import Any

import click
from attrs import asdict, field, frozen

from .._internal.secrets import Secret
from ..auth import AgencyTokens, Grant, OAuthTokens
from ..auth.sources import checked_token
from ..auth.tokens import TokenPair
from ..client import LCPhoneClient
from ..errors import AuthenticationError, PhoneSystemNotConnectedError
from ..models import Location, RateLimitStatus
from . import tables
from .logins import Login
from .output import json_lines, new_console, one_line, write, write_rich
from .service import Service, with_service

_NONE_YET = "none"
_ROWS_PER_TABLE = 100

# Longer than any token or secret; a device such as /dev/zero never ends.
_MAX_LINE = 10_000

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON value per line.")


@click.command()
@click.option(
    "--client-id", envvar="LCPHONE_CLIENT_ID", show_envvar=True, help="Client id of an OAuth app."
)
@click.option("--redirect-uri", metavar="URL", help="Redirect URI of the app's authorization.")
@click.option("--agency", is_flag=True, help="The code is from an agency's authorization.")
@click.option("--company", metavar="ID", help="The agency that the token belongs to.")
@click.option("--replace", is_flag=True, help="Replace an earlier login without asking.")
@with_service
def login(
    service: Service,
    *,
    client_id: str | None,
    redirect_uri: str | None,
    agency: bool,
    company: str | None,
    replace: bool,
) -> None:
    """Keep a token for the other commands.

    Paste a private integration token or, with --client-id, the code of an OAuth authorization;
    the app's secret is read from LCPHONE_CLIENT_SECRET, or the command asks for it. Secrets are
    not shown as you type; without a terminal they are read from stdin. The login is kept in the
    system's keyring if there is one (extra `keyring`), else in a file that only you can read, and
    is sent to the base URL only. The command checks that it can keep the login before it sends
    the code, which works once.
    """
    if not replace:
        _ask_to_replace(service.base_url)
    if client_id is None:
        token = checked_token(_ask("Token"))
        with Login.explaining_errors():
            kept = Login.keep(service.base_url, {"token": token, "company_id": company}, None)
    else:
        code = _ask("Code of the authorization")
        secret = _ask("Client secret", "LCPHONE_CLIENT_SECRET")
        app = {"client_id": client_id, "client_secret": secret}
        user_type = "Company" if agency or company else None
        with Login.explaining_errors():
            Login.probe(service.base_url)
        grant = service.run(
            lambda client: client.exchange_code(
                code, **app, redirect_uri=redirect_uri, user_type=user_type
            ),
            tokens=_NONE_YET,
        )
        agency_id = _checked_agency(grant, company, is_agency=agency)
        fields = {**app, "company_id": agency_id, "location_id": grant.location_id}
        pair = TokenPair.granted(grant, time.time())
        with Login.explaining_errors():
            kept = Login.keep(service.base_url, fields, pair.to_text())
    message = f"Kept in {kept.place}, for {service.base_url}."
    if company_id := kept.fields["company_id"]:
        message += f" It belongs to agency {company_id}, and fetches the token of each location."
    click.echo(one_line(message), err=True)


def _ask_to_replace(base_url: str) -> None:
    """Raises `click.ClickException` if there is a login and the user keeps it."""
    kept = None
    with suppress(click.ClickException):  # an unreadable login can be replaced
        kept = Login.load(base_url)
    if kept is None:
        return
    if not sys.stdin.isatty():
        raise click.ClickException(f"there is a login in {kept.place} already: add --replace")
    if not click.confirm(one_line(f"Replace the login in {kept.place}?"), err=True):
        raise click.ClickException("the earlier login was kept")


def _checked_agency(grant: Grant, company: str | None, *, is_agency: bool) -> str | None:
    """Returns the agency of a grant, if any; raises `click.ClickException` if in doubt."""
    kind = (grant.user_type or "").lower()
    if grant.location_id is not None or kind == "location":
        if company or is_agency:
            whose = f"location {grant.location_id}" if grant.location_id else "a location"
            raise _not_kept(
                f"the code belongs to {whose}, not to an agency. "
                "Authorize the app again, and leave out --company and --agency"
            )
        return None
    if company and grant.company_id not in {None, company}:
        raise _not_kept(f"the code belongs to agency {grant.company_id}, not to {company}")
    agency = company or grant.company_id
    is_known = grant.company_id is not None or kind == "company"
    if agency is None and (is_known or is_agency):
        raise _not_kept(
            "the response names no agency. "
            "Authorize the app again, and name the agency with --company"
        )
    if agency is not None and not is_known and not _confirmed(agency):
        raise _not_kept(
            f"the response does not confirm that the code belongs to agency {agency}. Authorize"
            " the app again, and confirm it on a terminal, or leave out --company for a location's"
            " code"
        )
    return agency


def _confirmed(agency: str) -> bool:
    """Asks on a terminal if the tokens belong to the agency."""
    question = f"The response names no owner of the tokens. Do they belong to agency {agency}?"
    return sys.stdin.isatty() and click.confirm(one_line(question), err=True)


def _not_kept(problem: str) -> click.ClickException:
    return click.ClickException(f"nothing was kept: {problem}")


@frozen
class Identity:
    """Facts about a token that cost no money to find out."""

    kind: str
    """Kind of token, as text."""
    kept_in: str
    """Place of the token."""
    company_id: str | None = None
    """The agency, if known."""
    location_id: str | None = None
    """The location of the checks."""
    scopes: dict[str, bool | None] = field(factory=dict)
    """True if the token has the scope; `None` if that is unknown."""
    limits: dict[str, Any] = field(factory=dict)
    """Rate limits, as `RateLimitStatus`."""


@click.command()
@click.option(
    "--location", "location_id", metavar="ID", envvar="LCPHONE_LOCATION_ID", show_envvar=True
)
@_json
@with_service
def whoami(service: Service, *, location_id: str | None, as_json: bool) -> None:
    """Show the token in use, its scopes and the rest of the rate limits.

    Two small reads, of the location's phone numbers and pools, test the scopes. The scope to buy
    numbers cannot be tested without buying one.
    """
    tokens = service.tokens
    known = service.login.fields if service.login else {}
    location_id = location_id or known.get("location_id")
    scopes: dict[str, bool | None] = {}
    limits = RateLimitStatus()
    if location_id is not None:
        scopes, limits = service.run(lambda client: _probe_scopes(client, location_id))
    identity = Identity(
        kind=_token_kind(tokens),
        kept_in=_token_place(service),
        company_id=known.get("company_id"),
        location_id=location_id,
        scopes=scopes,
        limits=asdict(limits),
    )
    if as_json:
        click.echo(json_lines([identity]), nl=False)
    else:
        new_console().print(tables.facts(_rows(identity)))


@click.command()
@click.option("--company", metavar="ID", envvar="LCPHONE_COMPANY_ID", show_envvar=True)
@click.option("--app", "app_id", metavar="ID", envvar="LCPHONE_APP_ID", show_envvar=True)
@click.option("--query", metavar="TEXT", help="Part of the location's name.")
@click.option(
    "--not-installed",
    "is_installed",
    flag_value=False,
    default=True,
    help="Locations without the app.",
)
@click.option("--version-id", metavar="ID", help="Locations with this version of the app.")
@click.option("--plan-id", metavar="ID", help="Locations with this plan.")
@click.option("--on-trial", is_flag=True, default=None, help="Locations on trial.")
@click.option(
    "--restrict-to-user-locations",
    is_flag=True,
    default=None,
    help="Locations that the token's user may see; v3 only.",
)
@_json
@with_service
def locations(
    service: Service, *, company: str | None, app_id: str | None, as_json: bool, **filters: Any
) -> None:
    """List the locations of an agency where an app is installed.

    It needs the token of an agency: see `lcphone login --agency`.
    """
    company = company or (service.login.fields.get("company_id") if service.login else None)
    if company is None or app_id is None:
        raise click.UsageError("name the agency with --company, and the app with --app")

    async def stream(client: LCPhoneClient) -> None:
        console = new_console()
        count = 0

        async def show(rows: list[Location]) -> None:
            nonlocal count
            if as_json:
                await write(json_lines(rows))
            else:
                await write_rich(console, tables.locations(rows, header=not count))
            count += len(rows)

        rows: list[Location] = []
        async with aclosing(client.locations(company, app_id, **filters)) as found:
            async for location in found:
                rows.append(location)
                if len(rows) == _ROWS_PER_TABLE:
                    await show(rows)
                    rows = []
        await show(rows)
        if not as_json:
            await write(f"\n{count:,} locations\n")

    service.run(stream)


def _ask(prompt: str, variable: str = "") -> Secret:
    """Reads a secret from the environment, a terminal, or the next line of stdin."""
    text = os.environ.get(variable) if variable else None
    if text is None and sys.stdin.isatty():
        text = str(click.prompt(prompt, hide_input=True, err=True))
    elif text is None:
        text = sys.stdin.readline(_MAX_LINE)
    if not text.strip():
        raise click.ClickException(f"{prompt} is empty")
    return Secret(text.strip())


async def _probe_scopes(
    client: LCPhoneClient, location_id: str
) -> tuple[dict[str, bool | None], RateLimitStatus]:
    """Tests the token's scopes; also returns the rate limits afterwards."""
    scopes: dict[str, bool | None] = {
        "phonenumbers.read": await _has_scope(client.active_numbers_page(location_id, page_size=1)),
        "numberpools.read": await _has_scope(client.number_pools(location_id)),
        "phonenumbers.write": None,
    }
    return scopes, client.rate_limit(location_id)


async def _has_scope(call: Any) -> bool:
    try:
        await call
    except PhoneSystemNotConnectedError:
        return True  # the scope was checked before the phone system
    except AuthenticationError as error:
        if "scope" not in error.message:
            raise
        return False
    return True


def _token_place(service: Service) -> str:
    if service.login is not None:
        return service.login.place
    return "LCPHONE_TOKEN" if os.environ.get("LCPHONE_TOKEN") else "nowhere: it was typed"


def _token_kind(tokens: object) -> str:
    if isinstance(tokens, AgencyTokens):
        return "an agency's token"
    if isinstance(tokens, OAuthTokens):
        return "the tokens of an OAuth app"
    return "a private integration token" if str(tokens).startswith("pit-") else "an access token"


def _rows(identity: Identity) -> list[tuple[str, object]]:
    labels = {True: "yes", False: "no", None: "unknown"}
    limits = identity.limits
    rows: list[tuple[str, object]] = [
        ("Token", identity.kind),
        ("Kept in", identity.kept_in),
        ("Agency", identity.company_id),
        ("Location", identity.location_id),
    ]
    rows += [(name, labels[has]) for name, has in identity.scopes.items()]
    if limits.get("remaining") is not None:
        rows.append(("Left now", f"{limits['remaining']} of {limits['max_requests']}"))
    if limits.get("daily_remaining") is not None:
        rows.append(("Left today", f"{limits['daily_remaining']:,} of {limits['daily_limit']:,}"))
    return rows
