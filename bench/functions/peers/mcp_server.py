"""An echo tool of the official MCP SDK, over stdio."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("bench")


@server.tool()
def echo(text: str) -> str:
    """The text."""
    return text


server.run("stdio")
