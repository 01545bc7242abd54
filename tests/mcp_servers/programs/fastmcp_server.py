"""A server by FastMCP: over standard input and output, or at PORT with --http PORT."""
import os
import sys

from fastmcp import Context, FastMCP

server = FastMCP("notes")


@server.tool(annotations={"readOnlyHint": True})
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool
def seen(name: str) -> str:
    """What the server's environment has for a name."""
    return os.environ.get(name, "nothing")


@server.tool
async def ask_name(ctx: Context) -> str:
    """Asks a person for a name."""
    answer = await ctx.elicit("What is your name?", response_type=str)
    return "hello " + answer.data if answer.action == "accept" else "no name: " + answer.action


if __name__ == "__main__":
    if sys.argv[1:2] == ["--http"]:
        server.run(transport="http", port=int(sys.argv[2]), show_banner=False)
    else:
        server.run(show_banner=False)
