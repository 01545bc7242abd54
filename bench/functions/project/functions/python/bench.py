"""What script/bench functions calls."""
from time import perf_counter

import sabir


def echo(text: str) -> str:
    """The text.

    Effect: read
    """
    return text


def relay(address: str, text: str, times: int) -> float:
    """Median microseconds of a call of another function.

    Effect: read
    Timeout: 60s
    """
    took = []
    for _ in range(times):
        begin = perf_counter()
        sabir.call(address, text=text)
        took.append(perf_counter() - begin)
    return sorted(took)[times // 2] * 1e6
