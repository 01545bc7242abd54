"""Receipts, in Python; what they add up to is Lua's to say."""
import sabir


def lines(items: list[dict]) -> str:
    """A receipt of a cart, a line for each item.

    Effect: read
    """
    told = ["%s %.2f" % (item["name"], item["price"]) for item in items]
    return "\n".join(told + ["total %.2f" % sabir.call("carts.total", items=items)])
