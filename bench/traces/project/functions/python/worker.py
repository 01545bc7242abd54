"""What script/bench traces calls."""


def echo(text: str) -> str:
    """The text.

    Effect: read
    """
    return text
