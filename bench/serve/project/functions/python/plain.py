def add(a: int, b: int) -> int:
    """Adds, in Python.

    Effect: read
    """
    return a + b
