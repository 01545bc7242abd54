"""Orders of the Acme shop."""

from .models import Line, Order, Quote

__all__ = ["Line", "Order", "Quote", "currency"]


def currency() -> str:
    """The currency of all prices.

    Effect: read
    """
    return "EUR"
