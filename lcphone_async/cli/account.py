"""`lcphone login`, `whoami` and `locations`: whose token it is, and what it may do."""

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

# More characters than any token or secret has; a device such as /dev/zero has no end.
_MAX_LINE = 10_000

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON value a line.")


@click.command()
@click.option("--client-id", envvar="LCPHONE_CLIENT_ID", show_envvar=True, help="Of an OAuth app.")
@click.option("--redirect-uri", metavar="URL", help="That of the app's authorization.")
@click.option("--agency", is_flag=True, help="The code is of an agency's authorization.")
@click.option("--company", metavar="ID", help="The agency whose token it is.")
@click.option("--replace", is_flag=True, help="Replace an earlier login without a question.")
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
    the app's secret is read from LCPHONE_CLIENT_SECRET or asked for. What is asked for is not
    shown; without a terminal it is read from stdin. It is kept in the system's keyring where there
    is one (extra `keyring`), else in a file that only you can read, and sent nowhere but to the
    base URL. Whether it can be kept is tried before the code, which is good once, is sent.
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
        message += f" It is of agency {company_id}: each location's token is fetched with it."
    click.echo(one_line(message), err=True)


def _ask_to_replace(base_url: str) -> None:
    """Raises `click.ClickException` if there is a login that is not to be replaced."""
    kept = None
    with suppress(click.ClickException):  # what is there is no login
        kept = Login.load(base_url)
    if kept is None:
        return
    if not sys.stdin.isatty():
        raise click.ClickException(f"there is a login in {kept.place} already: say --replace")
    if not click.confirm(one_line(f"Replace the login in {kept.place}?"), err=True):
        raise click.ClickException("the earlier login was kept")


def _checked_agency(grant: Grant, company: str | None, *, is_agency: bool) -> str | None:
    """The agency whose tokens they are; raises `click.ClickException` if that is in doubt."""
    kind = (grant.user_type or "").lower()
    if grant.location_id is not None or kind == "location":
        if company or is_agency:
            whose = f"location {grant.location_id}" if grant.location_id else "a location"
            raise _not_kept(
                f"the code is of {whose}, not of an agency. "
                "Authorize the app again, and leave out --company and --agency"
            )
        return None
    if company and grant.company_id not in {None, company}:
        raise _not_kept(f"the code is of agency {grant.company_id}, not of {company}")
    agency = company or grant.company_id
    is_known = grant.company_id is not None or kind == "company"
    if agency is None and (is_known or is_agency):
        raise _not_kept(
            "the service does not say of which agency the code is. "
            "Authorize the app again, and name the agency with --company"
        )
    if agency is not None and not is_known and not _confirmed(agency):
        raise _not_kept(
            f"the service does not say that the code is of agency {agency}. Authorize the app "
            "again, and confirm that on a terminal, or leave out --company for a location's code"
        )
    return agency


def _confirmed(agency: str) -> bool:
    """Whether a person says that the tokens are those of the agency."""
    question = f"The service does not say whose tokens it gave. Are they of agency {agency}?"
    return sys.stdin.isatty() and click.confirm(one_line(question), err=True)


def _not_kept(problem: str) -> click.ClickException:
    return click.ClickException(f"nothing was kept: {problem}")


@frozen
class Identity:
    """What can be told of a token without spending money."""

    kind: str
    kept_in: str
    company_id: str | None = None
    location_id: str | None = None
    scopes: dict[str, bool | None] = field(factory=dict)
    """Whether it proved to have each; `None` where that could not be seen."""
    limits: dict[str, Any] = field(factory=dict)


@click.command()
@click.option(
    "--location", "location_id", metavar="ID", envvar="LCPHONE_LOCATION_ID", show_envvar=True
)
@_json
@with_service
def whoami(service: Service, *, location_id: str | None, as_json: bool) -> None:
    """Show which token is used, what it proved to be allowed, and what is left of the limits.

    Two small reads of the location's phone numbers and pools tell which scopes the token has.
    Whether it may buy numbers cannot be seen without buying one.
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
@click.option("--query", metavar="TEXT", help="A part of the location's name.")
@click.option(
    "--not-installed", "is_installed", flag_value=False, default=True, help="Those without the app."
)
@click.option("--version-id", metavar="ID", help="Those with this version of the app.")
@click.option("--plan-id", metavar="ID", help="Those with this plan.")
@click.option("--on-trial", is_flag=True, default=None, help="Those on trial.")
@click.option(
    "--restrict-to-user-locations",
    is_flag=True,
    default=None,
    help="Those that the token's user may see; v3 alone.",
)
@_json
@with_service
def locations(
    service: Service, *, company: str | None, app_id: str | None, as_json: bool, **filters: Any
) -> None:
    """List the locations of an agency where an app is installed.

    It wants the token of an agency: see `lcphone login --agency`.
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
    """A secret from the environment, from a person, or from the next line of stdin."""
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
    """Which scopes the token showed to have, and the limits after that."""
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
        return True  # it looked, and found no phone system
    except AuthenticationError as error:
        if "scope" not in error.message:
            raise
        return False
    return True


def _token_place(service: Service) -> str:
    if service.login is not None:
        return service.login.place
    return "LCPHONE_TOKEN" if os.environ.get("LCPHONE_TOKEN") else "nowhere: you typed it"


def _token_kind(tokens: object) -> str:
    if isinstance(tokens, AgencyTokens):
        return "an agency's token"
    if isinstance(tokens, OAuthTokens):
        return "the tokens of an OAuth app"
    return "a private integration token" if str(tokens).startswith("pit-") else "an access token"


def _rows(identity: Identity) -> list[tuple[str, object]]:
    labels = {True: "yes", False: "no", None: "not known"}
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
