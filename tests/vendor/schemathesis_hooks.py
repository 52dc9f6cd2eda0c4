"""A check for Schemathesis: valid data is accepted, unless the number is gone.

`SCHEMATHESIS_HOOKS=schemathesis_hooks`, with this folder on `PYTHONPATH`.
"""

try:
    import schemathesis
except (
    ImportError
):  # pytest imports this module for its doctests, even if Schemathesis is not installed
    schemathesis = None

GONE = "Phone number is no longer available"

if schemathesis is not None:

    @schemathesis.check
    def valid_data_is_accepted(_context, response, case):
        """Fails if valid data is refused, except for a purchase of an unavailable number."""
        mode = case.meta.generation.mode if case.meta else None
        if mode is None or not mode.is_positive or response.status_code < 300:
            return
        gone = case.method == "POST" and response.json().get("message") == GONE
        assert gone, f"valid data refused: {response.status_code} {response.text}"
