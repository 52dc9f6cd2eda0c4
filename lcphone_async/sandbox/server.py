"""The sandbox itself: what it is told, what it shows of its state, and its life as a server."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from attrs import define, field, setters, validators
from yarl import URL

from .._internal.tasks import finished
from . import arguments
from .clock import seconds, time_of_day
from .control import Control
from .dispatcher import Dispatcher, Handler
from .faulty.rules import Fault, Faults
from .hosts import Hosts
from .inventory.generator import MAX_NUMBERS
from .inventory.location import Location, LocationSettings
from .inventory.stock import Stock
from .rate_limits import Limits
from .refusals import RefusedError
from .state import LedgerEntry, State
from .threads import running_in_thread
from .tokens.access import Tokens
from .tokens.oauth import OAuth
from .tokens.settings import OAuthSettings, TokenSettings
from .traffic import RequestRecord, Traffic
from .wire.operations import OPERATIONS
from .wire.profiles import Wire
from .wire.token_operations import TOKEN_OPERATIONS


def _all(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    given = arguments.several("faults", faults)
    if not all(isinstance(fault, Fault) for fault in given):
        raise TypeError("'faults' must be faults")
    return given


def _path(value: Any) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str | PathLike):
        raise TypeError(f"'record' must be a path, not {type(value).__name__}")
    if not str(value) or "\0" in str(value):
        raise ValueError("'record' is empty, or holds a NUL")
    return Path(value)


async def _accepted() -> None:
    """Wait for connections on their way: asyncio leaks those that it accepts while it closes.

    It takes a turn of the loop to see them, one to accept them and one to begin with them; see
    https://github.com/python/cpython/issues/109564.
    """
    for _ in range(3):
        await asyncio.sleep(0)


def _host(value: object) -> str:
    if not isinstance(value, str):  # its default depends on it, before any validator runs
        raise TypeError(f"'host' must be str, not {type(value).__name__}")
    return value


def _hosts_of(values: object) -> tuple[str, ...]:
    return arguments.texts("allowed_hosts", values)


@define(kw_only=True, eq=False, on_setattr=setters.frozen)
class Sandbox:
    """A local LC Phone service, with state, that answers both contracts.

    >>> async def first_number():
    ...     async with Sandbox(seed=7) as sandbox:
    ...         print(sandbox.url)  # http://127.0.0.1:41234
    ...         print(sandbox.location("loc1").numbers[0])

    Where there is no event loop, use `in_thread`. What it holds can be read and changed before,
    while and after it runs, also from another thread. Options that make no sense raise
    `ValueError` or `TypeError` here, a port that is taken `OSError` at the start.
    """

    host: str = field(default="127.0.0.1", converter=_host)
    port: int = field(default=0, validator=arguments.whole(0, 65_535))
    """0 picks a free one."""
    allowed_hosts: Iterable[str] = field(default=(), converter=_hosts_of)
    """Further names under which the control endpoints and the page may be called, such as a
    container's; loopback names and `host` always may."""
    seed: int = field(default=0, validator=arguments.whole(-(2**63)))
    """The same seed gives the same inventories and searches, in every process."""
    tokens: Iterable[str] | Mapping[str, TokenSettings] | None = None
    """The tokens there are, and what each may do; `None` takes any, unless `oauth_app` is set."""
    oauth_app: OAuthSettings | None = field(
        default=None, validator=validators.optional(arguments.a(OAuthSettings))
    )
    """The app whose tokens are taken; `None` serves the token endpoints to anybody."""
    locations: Mapping[str, LocationSettings] | None = field(
        default=None, validator=validators.optional(arguments.mapping_of(LocationSettings))
    )
    """The locations there are; `None` takes any id."""
    profile: str | Iterable[str] = ()
    """Names of the wire's variants that are on, one or several; `lcphone sandbox --list` shows
    them."""
    strict: bool = field(default=False, validator=arguments.a_switch)
    """Whether all is required that the documents mark as required; otherwise only what the
    service was seen to ask for."""
    numbers_per_location: int = field(default=120, validator=arguments.whole(0, MAX_NUMBERS))
    """Those in pools included."""
    list_lag: float = field(default=0.0, validator=arguments.number(0))
    """Seconds until a number that was bought appears in the list of active numbers."""
    max_requests: int = field(default=100, validator=arguments.whole(1))
    """Requests that a location takes in any `period`."""
    period: float = field(default=10.0, validator=arguments.number(0, above=True))
    """In seconds."""
    daily_quota: int = field(default=200_000, validator=arguments.whole(0))
    """Requests that a location takes in a day, which begins with its first one."""
    keep_requests: int = field(default=1_000, validator=arguments.whole(0))
    """How many of the last requests `requests` holds."""
    record: Path | None = field(default=None, converter=_path)
    """A file to which every request and its answer is added, as a line of JSON without tokens."""
    clock: Callable[[], float] = field(default=time_of_day, validator=arguments.callable_or_raise)
    """Seconds since the epoch, for limits, tokens and dates; a test may hand in its own. This one
    goes on while freezegun or time-machine stop the time; `time.time` follows time-machine."""
    _faults: tuple[Fault, ...] = field(default=(), converter=_all, alias="faults")
    """What goes wrong from the start on; `faults` changes it."""
    _hosts: Hosts = field(init=False)
    _state: State = field(init=False)
    _dispatcher: Dispatcher = field(init=False)
    _traffic: Traffic = field(init=False, on_setattr=setters.NO_OP)
    _runner: web.AppRunner | None = field(default=None, init=False, on_setattr=setters.NO_OP)
    _is_starting: bool = field(default=False, init=False, on_setattr=setters.NO_OP)

    @_hosts.default
    def _new_hosts(self) -> Hosts:
        return Hosts(self.host.casefold(), self.allowed_hosts)

    @_state.default
    def _new_state(self) -> State:
        is_enforced = (self.tokens, self.oauth_app) != (None, None)
        oauth = OAuth(self.oauth_app or OAuthSettings(), is_enforced, self.seed, self.clock)
        return State(self.seed, self.locations, self.numbers_per_location, oauth, self.list_lag)

    @_dispatcher.default
    def _new_dispatcher(self) -> Dispatcher:
        limits = Limits(self.max_requests, self.period, self.daily_quota)
        faults = Faults(self.seed, self.period)
        faults.extend(self._faults)
        tokens = Tokens(self.tokens, self._state.oauth)
        wire = Wire(self.profile)
        return Dispatcher(self._state, tokens, limits, self.clock, faults, wire, self.strict)

    def __attrs_post_init__(self) -> None:
        self._traffic = Traffic(deque(maxlen=self.keep_requests), self.record)

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:41234`."""
        if self._runner is None:
            raise RuntimeError("the sandbox is not running: enter it with `async with` first")
        port = self._runner.addresses[0][1]
        return str(URL.build(scheme="http", host=self.host, port=port))

    @property
    def stock(self) -> Stock:
        """The numbers for sale; `stock.take(number)` makes one unavailable."""
        return self._state.stock

    @property
    def oauth(self) -> OAuth:
        """The app's installations and their tokens, and the ledger of what was asked for."""
        return self._state.oauth

    @property
    def faults(self) -> Faults:
        """What goes wrong; `append`, `remove` and `clear` change it at any time."""
        return self._dispatcher.faults

    @property
    def ledger(self) -> list[LedgerEntry]:
        """The purchases that took effect, oldest first."""
        return list(self._state.ledger)

    @property
    def requests(self) -> list[RequestRecord]:
        """The last requests that were answered, oldest first."""
        return list(self._traffic.last)

    @property
    def profiles(self) -> list[str]:
        """The names of the wire's variants that are on."""
        return self._dispatcher.wire.names

    @property
    def known_locations(self) -> list[Location]:
        """The locations that were asked for so far."""
        return list(self._state.locations.values())

    def location(self, location_id: str) -> Location:
        """Give the state of a location; `LookupError` if the sandbox was told of others only."""
        if not isinstance(location_id, str):
            raise TypeError(f"location_id must be a text, not {type(location_id).__name__}")
        location = self._state.location(location_id)
        if location is None:
            raise LookupError(f"the sandbox has no location {location_id!r}")
        return location

    def reset(self) -> None:
        """Go back to the start: inventories, stock, ledgers, tokens, limits, faults, requests."""
        self._state.clear()
        self._dispatcher.budgets.clear()
        self.faults.clear()
        self.faults.extend(self._faults)
        self._traffic.last.clear()

    def in_thread(self) -> AbstractContextManager[Self]:
        """Run in a thread of its own, for programs without an event loop.

        >>> with Sandbox().in_thread() as sandbox:
        ...     sandbox.url.startswith("http://127.0.0.1:")
        True
        """
        return running_in_thread(self)

    async def start(self) -> None:
        """Listen. `async with` does this."""
        if self._runner is not None or self._is_starting:
            raise RuntimeError("the sandbox is running already")
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
        self._is_starting = True
        try:
            await finished(self._listen(runner))
        except BaseException:
            await finished(self._stop(runner))
            raise
        finally:
            self._is_starting = False
        self._runner = runner

    async def close(self) -> None:
        """Stop listening and drop the connections, also if it is cancelled; the state stays."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await finished(self._stop(runner))

    async def _listen(self, runner: web.AppRunner) -> None:
        await runner.setup()
        self._traffic.open()
        await web.TCPSite(runner, self.host, self.port).start()

    async def _stop(self, runner: web.AppRunner) -> None:
        await _accepted()
        await runner.cleanup()
        self._traffic.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._recording, self._refusing])
        app.on_shutdown.append(self._dispatcher.injector.stop)
        Control(self, self._hosts).add_to(app)
        for operation in (*OPERATIONS, *TOKEN_OPERATIONS):
            app.router.add_route(
                operation.method, operation.path, self._dispatcher.handler(operation)
            )
        return app

    @web.middleware
    async def _recording(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = seconds()
        response = await handler(request)
        if not Control.answers(request):
            record = RequestRecord(
                request.method,
                request.rel_url.raw_path,
                request.query,
                response.status,
                self.clock(),
                seconds() - started,
            )
            await self._traffic.note(record, request, response)
        return response

    @web.middleware
    async def _refusing(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RefusedError as refusal:
            return self._dispatcher.refuse(refusal)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            message = f"Cannot {request.method} {request.rel_url.raw_path}"
            return self._dispatcher.refuse(RefusedError(404, message))
