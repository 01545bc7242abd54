def add(a: int, b: int) -> int:
    """Adds.

    Effect: read
    """
    return a + b
