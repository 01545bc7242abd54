"""An echo tool of FastMCP, over stdio."""

from fastmcp import FastMCP

server = FastMCP("bench")


@server.tool
def echo(text: str) -> str:
    """The text."""
    return text


server.run(show_banner=False)
