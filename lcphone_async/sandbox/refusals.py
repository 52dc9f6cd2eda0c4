"""Answers that say no: raised where a check fails, turned into a body at the border."""

from http import HTTPStatus
from typing import Any

from attrs import frozen


@frozen
class RefusedError(Exception):
    """A request that gets an error for an answer."""

    status: int
    message: str

    def body(self, trace_id: str) -> dict[str, Any]:
        """Write the error's JSON."""
        return {
            "message": self.message,
            "error": HTTPStatus(self.status).phrase,
            "statusCode": self.status,
            "traceId": trace_id,
        }
