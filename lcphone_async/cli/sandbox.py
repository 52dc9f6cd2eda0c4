"""`lcphone sandbox`: a local LC Phone service in a process of its own."""

from __future__ import annotations

import asyncio
import errno
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

if TYPE_CHECKING:
    from ..sandbox import Fault, LocationSettings, Sandbox


_EFFECTS = {
    "delay": "seconds to wait first",
    "status": "another status, with its retry_after and body",
    "change": "release or add a number of the list",
    "replay": "with point=after: repeats the request as a proxy does, this number of times",
    "damage": "damages the response: ",
}


def _show_list(context: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001  # click's own
    """Lists the profiles and the effects of faults, and exits."""
    if not asked:
        return
    from ..sandbox.faulty.rules import Damage
    from ..sandbox.wire.profiles import PROFILES

    width = max(len(profile.name) for profile in PROFILES)
    for profile in PROFILES:
        click.echo(f"{profile.name:{width}}  {profile.ground:10}  {profile.summary}")
    for name, summary in _EFFECTS.items():
        words = ", ".join(get_args(Damage)) if name == "damage" else ""
        click.echo(f"{name:{width}}  {'fault':10}  {summary}{words}")
    context.exit()


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 picks a free port.")
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    help="Another name of this machine for the page and /__sandbox__/, such as a container's.",
)
@click.option("--seed", type=int, default=0, help="Another seed generates other numbers.")
@click.option(
    "--numbers",
    "numbers_per_location",
    type=int,
    default=120,
    show_default=True,
    help="Numbers of a location at the start.",
)
@click.option(
    "--list-lag",
    type=float,
    default=0.0,
    metavar="SECONDS",
    help="How long a bought number is missing from the list.",
)
@click.option(
    "--location",
    "locations",
    metavar="ID[=NUMBERS]",
    multiple=True,
    help="A location that exists; by default every id does.",
)
@click.option(
    "--token",
    "tokens",
    metavar="TOKEN",
    multiple=True,
    help="A valid token; by default every token is.",
)
@click.option(
    "--oauth",
    metavar="NAME=VALUE,...",
    help="An OAuth app, such as client_id=app,client_secret=x,expires_in=60; its tokens are valid.",
)
@click.option("--profile", metavar="NAME", multiple=True, help="A variant of the wire.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_list,
    help="List the profiles and the effects of faults, and exit.",
)
@click.option(
    "--strict", is_flag=True, help="Require all fields that the documents mark as required."
)
@click.option(
    "--fault",
    "rules",
    metavar="NAME=VALUE,...",
    multiple=True,
    help="A fault to inject, such as operation=purchase,nth=2,status=503.",
)
@click.option(
    "--faults",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File with a JSON array of faults.",
)
@click.option(
    "--max-requests",
    type=int,
    default=100,
    show_default=True,
    help="Requests that a location accepts in 10 s.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, readable=False),
    help="Append every request and response to this file as JSON lines, without tokens.",
)
def sandbox(
    *,
    locations: tuple[str, ...],
    tokens: tuple[str, ...],
    oauth: str | None,
    rules: tuple[str, ...],
    file: Path | None,
    **options: Any,
) -> None:
    """Run a local LC Phone service, and print its URL when it is ready.

    By default it accepts any token and any location. In a browser, the URL shows the requests;
    programs control it below /__sandbox__/. Ctrl-C or SIGTERM stops it.
    """
    from ..sandbox import OAuthSettings, Sandbox
    from ..sandbox.texts import from_text

    if oauth is not None:
        options["oauth_app"] = from_text(OAuthSettings, oauth)
    service = Sandbox(
        tokens=tokens or None,
        locations=dict(map(_location, locations)) or None,
        faults=_faults(rules, file),
        **options,
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(service))


async def _serve(service: Sandbox) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        await service.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise click.ClickException(
            f"port {service.port} is in use: choose another, or --port 0 for a free one"
        ) from None
    try:
        click.echo(service.url)
        await stop.wait()
    finally:
        await service.close()


def _location(text: str) -> tuple[str, LocationSettings]:
    from ..sandbox import LocationSettings

    location_id, separator, numbers = text.rpartition("=")
    if not separator:
        return text, LocationSettings()
    if not numbers.isdecimal():
        raise click.BadParameter(f"--location {text}: {numbers!r} is not a number")
    return location_id, LocationSettings(numbers=int(numbers))


def _faults(rules: tuple[str, ...], file: Path | None) -> list[Fault]:
    from ..sandbox import Fault
    from ..sandbox.texts import all_from_json, from_text

    given = [from_text(Fault, rule) for rule in rules]
    if file is None:
        return given
    try:
        return given + all_from_json(Fault, file.read_bytes())
    except ValueError as error:
        raise ValueError(f"--faults {file}: {error}") from None
