"""Arguments, execution and exit codes of `lcphone audit run`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._internal.paths import bounded_text
from ..client import LCPhoneClient
from ..errors import (
    AuthenticationError,
    LocalResourceError,
    TokenUnavailableError,
)
from ..models import Location
from .service import Service, run_until_signal

if TYPE_CHECKING:
    from ..audit import AuditSummary

BAD_FILE, _INCOMPLETE, _TOKEN_REFUSED, _DAY_SPENT, _STORE_UNUSABLE = 2, 3, 4, 5, 6


def listed(path: Path | None) -> list[Location]:
    """Reads a file of locations; raises `OSError` or `ValueError` if that fails."""
    from ..audit import read_locations

    if path is None:
        return []
    with click.open_file(path, "rb") as file:
        return read_locations(bounded_text(file, file.name), file.name)


def installed(service: Service, company: str | None, app_id: str | None) -> list[Location]:
    """Fetches the locations of an agency that have the app; raises `UsageError`."""
    company = company or (service.login.fields.get("company_id") if service.login else None)
    if company is None or app_id is None:
        raise click.UsageError("--installed: name the agency with --company, the app with --app")

    async def find(client: LCPhoneClient) -> list[Location]:
        return [location async for location in client.locations(company, app_id)]

    return service.run(find)


def run_audit(
    service: Service,
    scheduler: str | None,
    redis: tuple[str | None, float],
    arguments: Any,
    **options: Any,
) -> AuditSummary:
    """Runs the audit here or on a cluster; raises `UsageError`."""
    if scheduler is None:
        from ..audit import audit

        options.pop("worker_wait", None)
        return service.run(lambda client: audit(client, *arguments, **options))
    redis_url, redis_wait = redis
    if redis_url is None:
        raise click.UsageError(
            "--dask needs --redis, through which the workers share their rate limits"
        )
    from ..audit import audit_on_dask
    from . import dask_worker

    dask_worker.silence_dask()
    make_client = functools.partial(
        dask_worker.worker_client, service.options, redis_url, redis_wait
    )
    return run_until_signal(audit_on_dask(scheduler, make_client, *arguments, **options))


def exit_code(summary: AuditSummary) -> int:
    """Returns the exit code of an audit: 0 if it is complete."""
    match summary.error:
        case None if summary.is_complete:
            return 0
        case None:
            return _DAY_SPENT if summary.days_spent else _INCOMPLETE
        case AuthenticationError() | TokenUnavailableError():
            return _TOKEN_REFUSED
    return exit_code_of(summary.error)


def exit_code_of(error: Exception) -> int:
    """Returns the exit code for an error: 1 unless its class has a code of its own."""
    from ..audit import PriceListError, RuleError, StoreError

    match error:
        case StoreError() | LocalResourceError():  # local resources
            return _STORE_UNUSABLE
        case PriceListError() | RuleError():
            return BAD_FILE
    return 1


def outcome(summary: AuditSummary) -> str:
    """Returns why an audit is not complete, and how to continue."""
    if summary.error is not None:
        return f"stopped: {summary.error}: finished locations are kept, and --resume continues"
    if summary.days_spent:
        return (
            f"the daily quota of {summary.days_spent} locations is exhausted: continue with"
            " --resume once it has reset, within 24 hours"
        )
    return "some locations were not seen whole: --resume tries them again"
