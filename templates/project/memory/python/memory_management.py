"""Results that outlive the program, in the project's one store: what is kept here, Ruby and C++ read too."""
from __future__ import annotations

from typing import Any

import sabir


def store_result(result: Any, name: str = "latest") -> int:
    """Keeps a result under a name, in place of the one that was there.

    Args:
        result: Anything that JSON can hold.
        name: What to ask for it by.

    Returns:
        The result's version: 1 for the first of that name, then 2, and so on.
    """
    return sabir.memory.put("results/" + name, result)


def retrieve_result(name: str = "latest") -> Any:
    """Gives back the result that was last stored under a name, or nothing if there is none.

    Args:
        name: The name it was stored under.

    Effect: read
    """
    return sabir.memory.get("results/" + name)
