"""The first function of this project. Change it and call it: sabir call function1.do_something"""
from __future__ import annotations


def do_something(text: str = "many languages, one project") -> dict[str, int]:
    """Counts the words, letters and sentences of a text.

    Args:
        text: Any text; words are separated by white space.

    Returns:
        The keys are words, letters and sentences.

    Effect: read
    """
    endings = sum(text.count(mark) for mark in ".!?")
    return {
        "words": len(text.split()),
        "letters": sum(character.isalpha() for character in text),
        "sentences": endings or (1 if text.strip() else 0),
    }
