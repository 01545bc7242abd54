"""The project that OpenAI's clients visit: an assistant with a function of its own, scripted models, one behind a server."""
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ORACLES = ROOT / "build" / "oracles" / "openai"

FILES = {
    "functions/python/stock.py": '''
        """What is in store."""


        def count(item: str) -> int:
            """How many there are.

            Effect: read
            """
            return len(item)
        ''',
    "assistants/python/clerk.py": '''
        """Sells fruit."""
        model = "scripted"
        instructions = "You sell fruit."
        functions = ["stock.count"]
        ''',
    "assistants/python/echo.py": '''
        """Answers by itself."""


        def respond(message, context):
            return "You said: " + message
        ''',
}
LOOK = {"tool_calls": [{"name": "count", "arguments": {"item": "pears"}}]}
REPLIES = [
    {"contains": "how many", "steps": [LOOK, {"text": "There are {tool:count} pears."}]},
    {"contains": "open the door", "steps": [LOOK, {"tool_calls": [{"name": "open_door", "arguments": {"which": "north"}}]},
                                            {"text": "The door is {tool:open_door}, and there are {tool:count} pears."}]},
    {"contains": "weather", "steps": [{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}, {"text": "In Oslo: {tool:get_weather}."}]},
    {"contains": "as json", "json": {"city": "Paris", "visitors": 3}},
    {"contains": "at length", "text": "One. Two. Three. Four. Five. Six.", "finish_reason": "length"},
    {"contains": "declined", "text": "I cannot help with that.", "finish_reason": "content_filter"},
    {"contains": "break", "error": {"type": "model", "message": "the provider is on fire"}},
    {"contains": "slowly", "delay_ms": 4000, "text": "At last."},
    {"matches": "my name is (\\w+)", "text": "Hello {match:1}."},
    {"matches": "(?s)(.*)", "text": "You said: {match:1}"},
]


def config(port=0):
    server = {"provider": "openai", "api": "chat", "base_url": "http://127.0.0.1:%d/ok/v1" % port, "model": "gpt-test", "retries": 0}
    return json.dumps({"default": "scripted", "models": {"scripted": {"provider": "scripted", "replies": REPLIES}, "server": server,
                                                         "down": dict(server, base_url="http://127.0.0.1:1/v1")}})


def visit(program, served, token="none", timeout=120):
    """Runs a client's script in a process of its own, with the packages that script/setup installed for it."""
    env = {**os.environ, "OPENAI_BASE_URL": served.address + "/v1", "OPENAI_API_KEY": token, "OPENAI_AGENTS_DISABLE_TRACING": "1", "NO_PROXY": "127.0.0.1"}
    if program.suffix == ".py":
        env["PYTHONPATH"] = str(ORACLES / "python")
        command = [str(ROOT / "build/venv/bin/python"), str(program)]
    else:
        node = ROOT / "build/venv/bin/node"
        command = [str(node) if node.exists() else "node", str(program)]
        env["SABIR_CLIENT_MODULES"] = str(ORACLES / "node" / "package.json")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    return [line for line in done.stdout.splitlines() if line.startswith("ok ")]
