"""The leak drill: 200 secrets, given away by functions in every way there is, and seen nowhere outside of their workers."""
import base64
import json
import random
import string
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from harness import write
from serving import Served

COUNT = 200
PYTHON = '''import base64
import os
import sys

from sabir import call, complete, memory, render, secret


def give(name: str) -> str:
    """Returns it.

    Effect: read
    """
    return "it is " + secret(name)


def forms(name: str) -> dict:
    """Returns it in other forms.

    Effect: read
    """
    value = secret(name)
    return {"base64": base64.b64encode(("user:" + value).encode()).decode(), "hex": value.encode().hex(), "list": [value, {value: 1}], "json": '{"key": "%s"}' % value}


def halves(name: str) -> list[str]:
    """Returns it in two pieces.

    Effect: read
    """
    value = secret(name)
    return [value[:len(value) // 2], value[len(value) // 2:]]


def stream(name: str):
    """Yields it.

    Effect: read
    """
    yield 0
    yield secret(name)


def fail(name: str) -> str:
    """Raises with it.

    Effect: read
    """
    raise RuntimeError("bad " + secret(name))


def log(name: str) -> int:
    """Prints it, whole and in pieces.

    Effect: read
    """
    value = secret(name)
    print("whole", value)
    print("half", value[:len(value) // 2])
    print("half", value[len(value) // 2:], file=sys.stderr)
    for character in value:
        sys.stdout.write(character)
        sys.stdout.flush()
    print()
    return 1


def keep(name: str) -> int:
    """Puts it into the memory."""
    memory.put(name, {"value": secret(name)})
    memory.append("talk", {"role": "user", "content": secret(name)})
    return 1


def pass_on(name: str) -> str:
    """Gives it to another worker.

    Effect: read
    """
    return call("other.echo", text=secret(name))


def ask(name: str) -> str:
    """Gives it to a prompt and a model.

    Effect: read
    """
    value = secret(name)
    return str(render("leaky", text=value)) + str(complete("scripted says " + value, model="scripted"))


def die(name: str) -> int:
    """Says it last."""
    sys.stderr.write("FATAL " + secret(name))
    sys.stderr.flush()
    os._exit(3)
'''
RUBY = '''require "sabir"

# Says what it was given.
#
# @effect read
# @param text [String]
# @return [String]
def echo(text)
  warn "given #{text}"
  text.include?("secret:") ? text : text.reverse
end

# Returns it.
#
# @effect read
# @param name [String]
# @return [String]
def give(name)
  puts Sabir.secret(name)
  Sabir.secret(name)
end
'''


def canaries():
    random.seed(20261128)
    alphabet = string.ascii_letters + string.digits
    # Those with characters that encodings change, and lengths from short to long.
    return {"canary_%d" % i: "".join(random.choice(alphabet + "+/=%&\\" + '"' + "ü ") for _ in range(12 + i % 40)).strip() + "x" for i in range(COUNT)}


def test_no_secret_is_seen_outside_of_its_workers(machine, project):
    values = canaries()
    write(project / "config/secrets.json", json.dumps(values))
    (project / "config/secrets.json").chmod(0o600)
    write(project / "config/grants.yml", json.dumps({"functions": {"leaky.*": list(values), "other.give": list(values)}, "prompts": {"holder": list(values)}}))
    write(project / "functions/python/leaky.py", PYTHON)
    write(project / "functions/ruby/other.rb", RUBY)
    write(project / "completions/leaky.j2", "Say {{ text }}.")
    write(project / "completions/holder.j2", "scripted says {% for i in range(200) %}{{ secret('canary_' ~ i) }} {% endfor %}")
    served = Served(machine, project)
    seen = []

    def post(path, body):
        request = urllib.request.Request(served.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def try_all(name):
        out = [post("/functions/leaky.%s" % way, {"name": name}) for way in ("give", "forms", "halves", "fail", "log", "keep", "pass_on", "ask")]
        out.append(post("/functions/leaky.stream?stream=1", {"name": name}))
        out.append(post("/functions/other.give", {"name": name}))
        return out

    try:
        with ThreadPoolExecutor(4) as pool:
            for name, said in zip(values, pool.map(try_all, values)):
                # Each got as far as having it: what is missing is what was taken out.
                assert "[secret:%s]" % name in said[0] and said[1].count("[secret:%s]" % name) >= 5, said
                assert "[secret:%s]" % name in said[3] and "[secret:%s]" % name in said[6] and "[secret:%s]" % name in said[7] and "[secret:%s]" % name in said[9], said
                seen += said
        seen.append(post("/functions/leaky.die", {"name": "canary_7"}))
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "leaky_give", "arguments": {"name": "canary_8"},
                                                                          "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}}
        request = urllib.request.Request(served.address + "/mcp", json.dumps(call).encode(), {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "leaky_give"})
        try:
            seen.append(urllib.request.urlopen(request, timeout=60).read().decode())
        except urllib.error.HTTPError as error:
            seen.append(error.read().decode())
        for command in (("call", "leaky.give", "name=canary_9"), ("call", "leaky.fail", "name=canary_9"), ("memory", "get", "canary_3"), ("memory", "messages", "talk", "--limit", "500"),
                        ("trace", "--limit", "500"), ("trace", "last", "--verbose"), ("functions", "--json"), ("usage",), ("prompt", "render", "holder"), ("prompt", "explain", "holder"), ("complete", "holder", "-m", "scripted")):
            seen.append(machine.sabir(*command, cwd=project).text)
        assert "[secret:canary_3]" in seen[-9] and "[secret:canary_199]" in seen[-3]
    finally:
        served.stop()
    done = machine.sabir("call", "leaky.ask", "name=canary_11", "--record", "leak", "--json", cwd=project)
    seen.append(done.text)
    seen.append(served.text if hasattr(served, "text") else "")
    everywhere = "\n".join(seen).encode()
    for path in project.rglob("*"):
        if path.is_file() and path.name != "secrets.json":
            everywhere += b"\n" + path.read_bytes()
    for name, value in values.items():
        raw = value.encode()
        core = base64.b64encode(raw)[:-4]
        escaped = json.dumps(value, ensure_ascii=False)[1:-1].encode()
        for form in (raw, raw.hex().encode(), core, urllib.parse.quote(value, safe="").encode(), escaped, json.dumps(value)[1:-1].encode()):
            at = everywhere.find(form)
            assert at < 0, (name, form, everywhere[max(0, at - 200):at + 200])
