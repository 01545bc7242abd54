"""A server by the official Python SDK: over standard input and output, or at PORT with --http PORT."""
import sys

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel

server = MCPServer("shop")


class Order(BaseModel):
    id: int
    total: float


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def find_order(id: int) -> Order:
    """Finds an order."""
    return Order(id=id, total=12.5)


@server.tool(annotations=ToolAnnotations(destructiveHint=True))
def delete_order(id: int) -> str:
    """Deletes an order."""
    return "gone %d" % id


@server.tool()
def fail(why: str) -> str:
    """Fails."""
    raise ToolError(why)


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
async def walk(steps: int, ctx: Context) -> str:
    """Walks, and says how far."""
    import anyio
    for i in range(steps):
        await ctx.report_progress(i + 1, steps)
        await anyio.sleep(0.05)
    return "there"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--http"]:
        server.run("streamable-http", port=int(sys.argv[2]))
    else:
        server.run("stdio")
