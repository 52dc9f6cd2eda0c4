"""A request to the raw server in the form that openapi-core validates."""

from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from support.raw_server import RawRequest


class OpenAPIRequest:
    """A raw request, as if sent to the server that the documents name."""

    def __init__(self, request: RawRequest) -> None:
        self.host_url = "https://services.leadconnectorhq.com"
        self.path = request.path
        self.method = request.method.lower()
        self.body = request.body or None
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(request.query), header=Headers(request.headers)
        )
