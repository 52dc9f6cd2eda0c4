"""`lcphone sandbox`: a local LC Phone service as a process."""

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
    "status": "another answer, with its retry_after and body",
    "change": "release or add a number of the list",
    "replay": "with point=after: the request comes again, as a proxy sends it, so many times",
    "damage": "what becomes of the answer: ",
}


def _show_list(context: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001  # click's own
    """Lists the profiles and the effects of faults, and ends."""
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
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 picks a free one.")
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    help="Another name of this machine, for the page and /__sandbox__/: a container's, say.",
)
@click.option("--seed", type=int, default=0, help="Another seed grows other numbers.")
@click.option(
    "--numbers",
    "numbers_per_location",
    type=int,
    default=120,
    show_default=True,
    help="Numbers that a location starts with.",
)
@click.option(
    "--list-lag",
    type=float,
    default=0.0,
    metavar="SECONDS",
    help="How long a number that was bought is missing from the list.",
)
@click.option(
    "--location",
    "locations",
    metavar="ID[=NUMBERS]",
    multiple=True,
    help="A location that there is; without any, every id is one.",
)
@click.option(
    "--token",
    "tokens",
    metavar="TOKEN",
    multiple=True,
    help="A token that is good; without any, every token is.",
)
@click.option(
    "--oauth",
    metavar="NAME=VALUE,...",
    help="An OAuth app, as client_id=app,client_secret=x,expires_in=60: its tokens are good.",
)
@click.option("--profile", metavar="NAME", multiple=True, help="A variant of the wire.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_list,
    help="List the profiles and what faults do, and end.",
)
@click.option("--strict", is_flag=True, help="Require all that the documents mark as required.")
@click.option(
    "--fault",
    "rules",
    metavar="NAME=VALUE,...",
    multiple=True,
    help="Something that goes wrong, as operation=purchase,nth=2,status=503.",
)
@click.option(
    "--faults",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with a JSON array of faults.",
)
@click.option(
    "--max-requests",
    type=int,
    default=100,
    show_default=True,
    help="Requests that a location takes in 10 s.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, readable=False),
    help="Add every request and answer to this file, a line of JSON each, without tokens.",
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
    """Run a local LC Phone service, and print its URL once it answers.

    It takes any token and any location unless told otherwise. In a browser its URL shows what
    happens; below /__sandbox__/ programs read and steer it. Ctrl-C or SIGTERM ends it.
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
