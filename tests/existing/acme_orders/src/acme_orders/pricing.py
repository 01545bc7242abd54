"""Prices of orders."""

from . import currency
from .models import Line, Order, Quote


def quote(order: Order, discount: float = 0.0) -> Quote:
    """What an order costs.

    Args:
        order: the order
        discount: from 0 to 1

    Effect: read
    """
    total = sum(line.cents * line.quantity for line in order.lines)
    return Quote(number=order.number, cents=round(total * (1 - discount)), lines=len(order.lines))


def cheapest(lines: list[Line]) -> Line:
    """The line with the lowest price.

    Effect: read
    """
    return min(lines, key=lambda line: line.cents)


def label(cents: int) -> str:
    """A price for people.

    Effect: read
    """
    return "%.2f %s" % (cents / 100, currency())


def _rounding() -> int:
    return 2
