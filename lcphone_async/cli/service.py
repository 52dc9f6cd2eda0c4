"""Shared by the subcommands: the service that they call, signals, and error messages."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar

import click
from attrs import frozen

from .._http import network
from .._internal import checks
from .._internal.secrets import Secret
from .._wire.requests import BASE_URL
from ..auth import TokenSource
from ..auth.sources import checked_token
from ..client import LCPhoneClient
from ..journal import Journal
from .logins import Login
from .output import one_line

T = TypeVar("T")

INTERRUPTED = 128 + signal.SIGINT

# Sent by docker stop, by systemd, and by a terminal that closes. Windows has no SIGHUP.
_TERMINATING_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@frozen
class Service:
    """The service that a subcommand calls, and its token.

    The token is read before the first call: from the environment, else from `lcphone login`, else
    from a prompt.
    """

    options: dict[str, Any]
    """Arguments of `LCPhoneClient`."""

    def run(
        self,
        work: Callable[[LCPhoneClient], Awaitable[T]],
        journal: Journal | None = None,
        tokens: str | TokenSource | None = None,
    ) -> T:
        """Runs `work` with a client, which is closed at the end."""
        tokens = self.tokens if tokens is None else tokens

        async def call() -> T:
            async with LCPhoneClient(tokens, journal=journal, **self.options) as client:
                return await work(client)

        return run_until_signal(call())

    @property
    def base_url(self) -> str:
        """Base URL of the service."""
        url, allow_http = self.options.get("base_url", BASE_URL), "allow_http" in self.options
        return checks.base_url(url, allow_http=allow_http)

    @cached_property
    def login(self) -> Login | None:
        """The login of `lcphone login`, unless the environment has a token."""
        return None if os.environ.get("LCPHONE_TOKEN") else Login.load(self.base_url)

    @cached_property
    def tokens(self) -> str | TokenSource:
        """The token, or its source."""
        if token := Secret(os.environ.get("LCPHONE_TOKEN", "")):
            return checked_token(token, "LCPHONE_TOKEN")
        if self.login is not None:
            return self.login.tokens()
        if sys.stdin.isatty():
            return Secret(click.prompt("LC Phone token", hide_input=True, err=True))
        raise click.ClickException(
            "run `lcphone login`, or set LCPHONE_TOKEN: there is no terminal to ask for a token on"
        )


def run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end, or cancels it on Ctrl-C, SIGTERM or SIGHUP.

    A cancelled coroutine closes its client, which lets a refresh of tokens finish.
    """
    received_signals: list[int] = []

    async def until_a_signal() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def end(number: int) -> None:
            received_signals.append(number)
            if task is not None:
                task.cancel()

        with suppress(NotImplementedError):  # Windows
            for number in _TERMINATING_SIGNALS:
                if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
                    loop.add_signal_handler(number, end, number)
        return await work

    try:
        return asyncio.run(until_a_signal())
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except asyncio.CancelledError:
        if not received_signals:
            raise
        raise click.exceptions.Exit(128 + received_signals[0]) from None


def print_error(problem: object) -> None:
    """Prints an error message on one line of stderr."""
    click.echo(f"Error: {one_line(problem)}", err=True)


def with_location(verb: Callable[..., None]) -> Callable[..., None]:
    """Adds the option `--location` and the options of `with_service` to a subcommand."""
    return click.option(
        "--location",
        "location_id",
        metavar="ID",
        required=True,
        envvar="LCPHONE_LOCATION_ID",
        show_envvar=True,
        help="The location of the numbers.",
    )(with_service(verb))


def with_service(verb: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of all calls to a subcommand, which gets them as a `Service`."""

    @click.option(
        "--base-url",
        metavar="URL",
        envvar="LCPHONE_BASE_URL",
        show_envvar=True,
        help="Base URL of the service, such as a sandbox.",
    )
    @click.option(
        "--api-version",
        metavar="VERSION",
        envvar="LCPHONE_API_VERSION",
        show_envvar=True,
        help="v3 or 2021-07-28.",
    )
    @click.option(
        "--allow-http", is_flag=True, help="Permit http:// to another machine, unencrypted."
    )
    @click.option(
        "--ca-bundle",
        metavar="FILE",
        help="CAs to trust, in PEM; by default those of SSL_CERT_FILE, or the system's.",
    )
    @functools.wraps(verb)
    def command(
        base_url: str | None,
        api_version: str | None,
        *,
        allow_http: bool,
        ca_bundle: str | None,
        **rest: Any,
    ) -> None:
        if ca_bundle is not None:
            network.trusted(ca_bundle, "--ca-bundle")
            os.environ["SSL_CERT_FILE"] = ca_bundle
        options = {"base_url": base_url, "api_version": api_version, "allow_http": allow_http}
        given = {name: value for name, value in options.items() if value}
        verb(Service({**given, "trust_env": True}), **rest)

    return command
