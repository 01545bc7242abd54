"""One tool, served over streamable HTTP by FastMCP. The arguments are the folder of its packages and the port."""
import sys

sys.path.insert(0, sys.argv[1])

from fastmcp import FastMCP  # noqa: E402

server = FastMCP("bench")


@server.tool
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


server.run(transport="http", host="127.0.0.1", port=int(sys.argv[2]), log_level="ERROR", show_banner=False, json_response=True)
