"""A report made in three languages: this Python calls Ruby, and that Ruby calls C++.

The first call may wait for the C++ compiler, hence the long timeout.
"""
from __future__ import annotations

import sabir


def summarize(text: str) -> dict[str, object]:
    """Describes a text: how many words it has, how long they are on average, and its longest word.

    Args:
        text: A text with at least one word.

    Returns:
        The keys are words, average_word_length and longest_word.

    Effect: read
    Timeout: 5m
    """
    words = sabir.call("text_tools.words", text=text)
    return {
        "words": len(words),
        "average_word_length": sabir.call("reading.average_word_length", text=text),
        "longest_word": max(words, key=len),
    }
