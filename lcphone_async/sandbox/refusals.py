"""Answers that say no: raised where a check fails, turned into a body at the border."""

from http import HTTPStatus
from http.client import responses
from typing import Any

from attrs import frozen


def phrase(status: int) -> str:
    """Name a status, also one that no standard knows."""
    return responses.get(status, "Unknown Error")


@frozen
class RefusedError(Exception):
    """A request that gets an error for an answer."""

    status: int
    message: str

    def body(self, trace_id: str) -> dict[str, Any]:
        """Write the error's JSON."""
        return {
            "message": self.message,
            "error": phrase(self.status),
            "statusCode": self.status,
            "traceId": trace_id,
        }


class AipRefusedError(RefusedError):
    """A refusal in the envelope that v3 has for lists (AIP-193)."""

    def body(self, _trace_id: str) -> dict[str, Any]:
        """Write the error's JSON."""
        code = "RESOURCE_NOT_FOUND" if self.status == HTTPStatus.NOT_FOUND else "INVALID_ARGUMENT"
        return {"error": {"code": code, "message": self.message, "details": {}}}
