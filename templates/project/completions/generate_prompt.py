"""Prompts from the parts in prompt_parts/, combined by the Jinja2 templates beside this file.

The engine renders them, so that `sabir prompt render summary text=…` and every language give the same bytes.
"""
import sabir


def generate_prompt(text: str, reader: str = "a newcomer", sentences: int = 2) -> str:
    """The prompt that asks for a summary of `text`. Errors: sabir.Error when a template names an unknown variable."""
    return sabir.render("summary", text=text, reader=reader, sentences=sentences)


if __name__ == "__main__":
    import sys

    print(generate_prompt(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read()), end="")
