"""A check for Schemathesis: what is valid by the document is accepted, unless its number is gone.

`SCHEMATHESIS_HOOKS=schemathesis_hooks`, with this folder on `PYTHONPATH`.
"""

try:
    import schemathesis
except ImportError:  # pytest looks for doctests here also where it is not installed
    schemathesis = None

GONE = "Phone number is no longer available"

if schemathesis is not None:

    @schemathesis.check
    def valid_data_is_accepted(_context, response, case):
        """Fail for valid data that is refused; a purchase of what nobody sells is valid too."""
        mode = case.meta.generation.mode if case.meta else None
        if mode is None or not mode.is_positive or response.status_code < 300:
            return
        gone = case.method == "POST" and response.json().get("message") == GONE
        assert gone, f"valid data refused: {response.status_code} {response.text}"
