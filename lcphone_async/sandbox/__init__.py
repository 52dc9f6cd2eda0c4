"""A local LC Phone service, for tests and for trying things out without an account or money.

>>> from lcphone_async.sandbox import Sandbox
>>> async def main():
...     async with Sandbox() as sandbox:
...         print(sandbox.url)  # a base URL for any client of the API

It fails as it is told to, also in the middle of a test:

>>> from lcphone_async.sandbox import Fault
>>> def lose_an_answer(sandbox):
...     sandbox.faults.append(Fault(operation="purchase", point="after", damage="reset", times=1))

It imports nothing from the rest of the package. `docs/sandbox.md` describes it.
"""

from .faulty.rules import Fault
from .inventory.location import Location, LocationSettings
from .inventory.numbers import Number
from .inventory.pools import Pool
from .inventory.stock import Stock
from .server import Sandbox
from .state import LedgerEntry
from .tokens.oauth import Grant, OAuth, TokenEntry
from .tokens.settings import OAuthSettings, TokenSettings
from .traffic import RequestRecord

__all__ = [
    "Fault",
    "Grant",
    "LedgerEntry",
    "Location",
    "LocationSettings",
    "Number",
    "OAuth",
    "OAuthSettings",
    "Pool",
    "RequestRecord",
    "Sandbox",
    "Stock",
    "TokenEntry",
    "TokenSettings",
]
