"""`sabir dev`: its live view as a person sees it, and its plain lines."""
import http.client
import json
import os
import re
import signal
import time

import pytest
from harness import SANITIZED, write
from terminal import SOON, Terminal

NOTES = '''"""Notes."""


def shout(text: str) -> str:
    """Says it louder.

    Effect: read
    """
    print("shouting " + text)
    return text.upper()


def fail(text: str) -> str:
    """Fails.

    Effect: read
    """
    raise ValueError("no such note: " + text)


def die() -> str:
    """Ends its worker.

    Effect: read
    """
    import os
    os._exit(3)
'''
FAILS_AT = NOTES[:NOTES.index("raise")].count("\n") + 1


@pytest.fixture
def notes(project):
    write(project / "functions/python/notes.py", NOTES)
    return project


@pytest.fixture
def terminals():
    """Makes terminals that are closed whatever happens."""
    made = []

    def make(machine, *arguments, cwd, **options):
        made.append(Terminal(machine, [machine.binary, *arguments], cwd, **options))
        return made[-1]

    yield make
    for terminal in made:
        terminal.close()


@pytest.fixture
def dev(machine, notes, terminals):
    def start(*arguments, **options):
        terminal = terminals(machine, "dev", "--port", "0", *arguments, cwd=notes, **options)
        terminal.until(lambda text: "serving" in text and re.search(r"http://127\.0\.0\.1:\d+", text))
        terminal.port = int(re.search(r"http://127\.0\.0\.1:(\d+)", terminal.text).group(1))
        return terminal

    return start


def ask(port, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), dict({"Content-Type": "application/json"}, **dict(headers)))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def call(port, address, **arguments):
    return ask(port, "POST", "/functions/" + address, arguments)[0]


def test_one_look_tells_where_what_and_how(dev):
    terminal = dev(columns=110)
    head = terminal.text
    base = "http://127.0.0.1:%d" % terminal.port
    for words in ("shop", "development", base + "/docs", base + "/mcp", base + "/v1"):
        assert words in head, head
    assert re.search(r"python +\d+ functions", head) and re.search(r"ruby +\d+ functions", head), head
    terminal.until("1 warm")
    assert call(terminal.port, "notes.shout", text="hello") == 200
    line = next(line for line in terminal.until("POST /functions/notes.shout").split("\n") if "/functions/notes.shout" in line)
    assert re.search(r"^\d\d:\d\d:\d\d REST +POST /functions/notes\.shout +python/notes\.shout +200 +[\d.]+ ms", line), line
    terminal.until("shouting hello")
    ask(terminal.port, "POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        {"Accept": "application/json, text/event-stream"})
    terminal.until(lambda text: re.search(r"MCP +initialize +200", text))


def test_errors_are_shown_with_file_and_line_and_enter_tells_the_trace(dev, machine, notes):
    terminal = dev()
    assert call(terminal.port, "notes.fail", text="a") == 500
    place = "functions/python/notes.py:%d" % FAILS_AT
    shown = terminal.until("POST /functions/notes.fail")
    assert any("no such note: a" in line and line.endswith(place) for line in shown.split("\n")), shown
    terminal.press("\r")
    details = terminal.until("sabir trace ")
    assert place in details and "function_error" in details and "no such note: a" in details, details
    trace = re.search(r"sabir trace ([0-9a-f]{8})", details).group(1)
    terminal.press("\r")
    terminal.until("q quit")
    done = machine.sabir("trace", trace, cwd=notes)
    # Traces are written within a moment.
    begin = time.monotonic()
    while done.code != 0 and time.monotonic() - begin < SOON:
        done = machine.sabir("trace", trace, cwd=notes)
    assert "notes.fail" in done.out, done


def test_keys_filter_pause_clear_and_explain(dev):
    terminal = dev()
    call(terminal.port, "notes.shout", text="x")
    call(terminal.port, "notes.fail", text="y")
    terminal.until("/functions/notes.fail")
    terminal.press("f")
    terminal.until("filter:")
    terminal.press("shout")
    terminal.without("notes.fail")
    terminal.press("\r")
    terminal.until("filter: shout")
    terminal.press("\x1b")
    terminal.until("/functions/notes.fail")
    terminal.press("e")
    terminal.without("/functions/notes.shout")
    terminal.press("e")
    terminal.until("/functions/notes.shout")
    terminal.press("l")
    terminal.without("shouting x")
    terminal.press("l")
    terminal.until("shouting x")
    terminal.press(" ")
    terminal.until("paused")
    call(terminal.port, "slugify", text="Later")
    terminal.until(lambda text: re.search(r"paused, \d new", text))
    assert "/functions/slugify" not in terminal.text
    terminal.press(" ")
    terminal.until("/functions/slugify")
    terminal.press("c")
    terminal.without("/functions/")
    terminal.press("?")
    terminal.until("read everything again now")
    terminal.press("x")
    terminal.press("r")
    terminal.until("reloaded everything")


def test_what_is_saved_is_told_by_file(dev, notes):
    terminal = dev(columns=120)
    write(notes / "functions/python/notes.py", NOTES.replace("def shout(text: str)", "def shout(text: str, loud: bool = True)") + NOTES[NOTES.index("def fail"):].replace("def fail", "def fail2").replace("def die", "def die2"))
    terminal.until("reloaded functions/python/notes.py: 1 changed, 2 added")
    write(notes / "functions/python/notes.py", NOTES[:NOTES.index("def die")])
    terminal.until(lambda text: re.search(r"notes\.py: 1 changed, 3 gone \(python/notes\.die, ", text))


def test_what_breaks_keeps_serving_what_was_good(dev, notes):
    terminal = dev(columns=120)
    # A worker keeps what it has loaded.
    assert call(terminal.port, "notes.shout", text="good") == 200
    write(notes / "functions/python/notes.py", NOTES + "def half(\n")
    terminal.until(lambda text: re.search(r"✗ functions/python/notes\.py:\d+: syntax error", text))
    terminal.until("What worked before keeps serving.")
    assert call(terminal.port, "notes.shout", text="still") == 200
    write(notes / "functions/python/notes.py", NOTES)
    terminal.until("reloaded functions/python/notes.py")
    config = (notes / "sabir.yml").read_text()
    lines = config.count("\n") + 1
    write(notes / "sabir.yml", config + "nonsense: 3\n")
    terminal.until("✗ sabir.yml:%d: unknown key 'nonsense'" % lines)
    assert call(terminal.port, "notes.shout", text="still") == 200
    write(notes / "sabir.yml", config)
    terminal.until("reloaded sabir.yml")


def test_models_that_cannot_be_read_stay_as_they_were(dev, notes):
    terminal = dev(columns=120)
    file = notes / "config/openai_config.yml"
    good = file.read_text()
    # Once they have been read.
    before = json.loads(ask(terminal.port, "GET", "/v1/models")[1])
    assert before["data"]
    write(file, good + "\nnonsense_here: [\n")
    terminal.until("✗ config/openai_config.yml")
    terminal.until("The configuration that worked before stays.")
    assert json.loads(ask(terminal.port, "GET", "/v1/models")[1]) == before
    write(file, good)
    terminal.until("reloaded config/openai_config.yml")


def test_a_lost_worker_is_told(dev):
    terminal = dev()
    call(terminal.port, "notes.die")
    terminal.until("lost while in use")
    terminal.until(lambda text: re.search(r"python .*\d lost", text))


@pytest.mark.parametrize("columns, rows", [(40, 16), (40, 8), (60, 20), (200, 50), (20, 5)])
def test_it_fits_its_window(dev, columns, rows):
    terminal = dev(columns=100)
    call(terminal.port, "notes.fail", text="日本語" * 30)
    terminal.until("no such note")
    terminal.resize(columns, rows)
    terminal.until(lambda text: "sabir dev" in text and text.rstrip().split("\n")[-1].lstrip().startswith("q quit"))
    lines = terminal.lines
    assert lines[0].startswith(" sabir dev")
    assert any("no such" in line for line in lines) or columns < 40, lines
    if rows >= 14:
        assert any(line.startswith(" python") for line in lines), lines
        assert any(line.startswith("─" * columns) for line in lines), lines


@pytest.mark.parametrize("how, expected", [("q", 0), ("\x03", 0), (signal.SIGTERM, 0), (signal.SIGHUP, None), (signal.SIGSEGV, -signal.SIGSEGV), (signal.SIGABRT, -signal.SIGABRT)])
def test_however_it_ends_the_terminal_is_as_before(dev, how, expected):
    if SANITIZED and how in (signal.SIGSEGV, signal.SIGABRT):
        pytest.skip("a sanitizer ends the process in its own way, and reports this as a find")
    terminal = dev()
    call(terminal.port, "notes.shout", text="x")
    if isinstance(how, str):
        terminal.press(how)
    else:
        os.kill(terminal.pid, how)
    if expected is None:
        # The terminal is there still: SIGHUP reads everything again, as with `sabir serve`.
        terminal.until("reloaded everything")
        terminal.press("q")
        expected = 0
    assert terminal.wait() == expected
    assert terminal.is_restored(), terminal.raw[-300:]
    if expected == 0:
        assert b"stopped after 1 request" in terminal.raw[-200:]


def test_what_runs_is_answered_before_it_ends(dev, notes):
    write(notes / "functions/python/slow.py", 'import time\n\n\ndef nap() -> str:\n    """Sleeps.\n\n    Effect: read\n    """\n    time.sleep(1.5)\n    return "awake"\n')
    terminal = dev()
    answers = []
    import threading
    asking = threading.Thread(target=lambda: answers.append(ask(terminal.port, "POST", "/functions/slow.nap", {})))
    asking.start()
    terminal.until(lambda text: re.search(r"1 busy", text))
    terminal.press("q")
    terminal.until("draining")
    assert terminal.wait() == 0
    asking.join(30)
    assert answers == [(200, '"awake"')]


def test_it_is_calm(dev):
    terminal = dev()
    call(terminal.port, "notes.shout", text="x")
    terminal.until("/functions/notes.shout")
    time.sleep(2.5)  # until its workers' memory stands still
    before = len(terminal.raw)
    time.sleep(2.5)
    updates = terminal.raw[before:].count(b"\x1b[?2026h")
    assert updates <= 2, terminal.raw[before:]
    # Many at once are one update, and an update never clears the screen.
    begin, before = time.monotonic(), len(terminal.raw)
    while time.monotonic() - begin < 2:
        call(terminal.port, "notes.shout", text="x")
    time.sleep(0.3)
    many = terminal.raw[before:]
    assert 5 <= many.count(b"\x1b[?2026h") <= 12 * (time.monotonic() - begin), many.count(b"\x1b[?2026h")
    assert b"\x1b[2J" not in many


def test_colours_are_the_terminals_own_and_none_with_no_color(dev):
    terminal = dev()
    call(terminal.port, "notes.fail", text="x")
    terminal.until("no such note")
    assert not colours_of(terminal.raw)
    terminal = dev(env={"NO_COLOR": ""})
    call(terminal.port, "notes.fail", text="x")
    terminal.until("no such note")
    assert {31, 32, 36} <= colours_of(terminal.raw) <= {31, 32, 35, 36, 39, 49}


def colours_of(raw):
    numbers = {int(number) for words in re.findall(rb"\x1b\[([0-9;]*)m", raw) for number in words.split(b";") if number}
    return {number for number in numbers if number >= 30}


class Lines:
    """`sabir dev` in a pipe."""

    def __init__(self, machine, project, *arguments, env=None):
        self.process = machine.start(machine.binary, "dev", "--port", "0", *arguments, cwd=project, env=env)
        self.lines = []

    def until(self, words):
        fits = words if callable(words) else lambda line: words in line
        for line in self.lines:
            if fits(line):
                return line
        begin = time.monotonic()
        while time.monotonic() - begin < SOON:
            line = self.process.stdout.readline()
            if not line:
                break
            self.lines.append(line.rstrip("\n"))
            if fits(self.lines[-1]):
                return self.lines[-1]
        raise AssertionError("%r was not said: %r" % (words, self.lines))


def test_in_a_pipe_it_says_plain_lines(machine, notes):
    dev = Lines(machine, notes)
    port = int(re.search(r":(\d+) serves", dev.until("serves")).group(1))
    dev.until("functions: python")
    call(port, "notes.shout", text="x")
    assert re.search(r"^\d\d:\d\d:\d\d REST POST /functions/notes\.shout 200 [\d.]+ ms python/notes\.shout trace [0-9a-f]{8}$", dev.until("/functions/notes.shout"))
    dev.until("[python] shouting x")
    call(port, "notes.fail", text="x")
    assert dev.until("error in").endswith("error in python/notes.fail: no such note: x at functions/python/notes.py:%d" % FAILS_AT)
    write(notes / "functions/python/more.py", "def f(:\n")
    dev.until(lambda line: "functions/python/more.py:1" in line)
    write(notes / "functions/python/notes.py", NOTES[:NOTES.index("def die")])
    dev.until("reloaded functions/python/notes.py: 1 gone (python/notes.die)")
    dev.process.send_signal(signal.SIGTERM)
    dev.until("draining")
    dev.until("stopped")
    assert dev.process.wait(30) == 0
    assert all("\x1b" not in line for line in dev.lines)


def test_it_ends_with_whoever_reads_it(machine, notes):
    dev = Lines(machine, notes)
    port = int(re.search(r":(\d+) serves", dev.until("serves")).group(1))
    dev.process.stdout.close()
    begin = time.monotonic()
    while dev.process.poll() is None and time.monotonic() - begin < SOON:
        try:
            call(port, "slugify", text="x")
        except OSError:
            pass
        time.sleep(0.1)
    assert dev.process.poll() == 0


def test_json_is_one_object_for_each_event(machine, notes):
    dev = Lines(machine, notes, "--json")
    ready = json.loads(dev.until('"ready"'))
    assert ready["functions"]["python"] > 1 and ready["mcp"].endswith("/mcp") and ready["openai"].endswith("/v1")
    port = int(ready["address"].rsplit(":", 1)[1])
    call(port, "notes.fail", text="x")
    failed = json.loads(dev.until('"event":"failed"'))
    assert failed["error"]["file"] == "functions/python/notes.py" and failed["error"]["line"] == FAILS_AT
    request = json.loads(dev.until('"event":"request"'))
    assert request["status"] == 500 and request["door"] == "REST" and request["error"] == "function_error" and request["trace"] == failed["trace"]
    dev.process.send_signal(signal.SIGTERM)
    dev.until('"stopped"')
    assert dev.process.wait(30) == 0
    for line in dev.lines:
        json.loads(line)


def test_a_port_that_is_taken_is_no_obstacle_unless_it_was_asked_for(machine, notes):
    import socket
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        write(notes / "sabir.yml", (notes / "sabir.yml").read_text() + "serve: {port: %d}\n" % port)
        process = machine.start(machine.binary, "dev", "--json", cwd=notes)
        said = json.loads(process.stdout.readline())
        assert "is in use" in said["message"]
        while said["event"] != "ready":
            said = json.loads(process.stdout.readline())
        assert not said["address"].endswith(":%d" % port)
        done = machine.sabir("dev", "--port", str(port), cwd=notes, env={"SABIR_ENV": "other"})
        assert done.code == 1 and "listens at 127.0.0.1:%d already" % port in done.err, done


def test_a_terminal_that_cannot_be_drawn_on_gets_plain_lines(machine, notes, terminals):
    terminal = terminals(machine, "dev", "--port", "0", cwd=notes, env={"TERM": "dumb"})
    terminal.until("serves shop")
    assert b"\x1b" not in terminal.raw
    terminal.press("\x03")
    assert terminal.wait() == 0


def test_secrets_do_not_appear(machine, notes):
    write(notes / "functions/python/keys.py", 'import sabir\n\n\ndef leak() -> str:\n    """Leaks.\n\n    Effect: read\n    Secrets: weather_key\n    """\n    raise ValueError("the key is " + sabir.secrets.get("weather_key"))\n')
    dev = Lines(machine, notes, env={"WEATHER_KEY": "very-secret-value-123"})
    port = int(re.search(r":(\d+) serves", dev.until("serves")).group(1))
    call(port, "keys.leak")
    dev.until("error in python/keys.leak")
    dev.until("/functions/keys.leak")
    dev.process.send_signal(signal.SIGTERM)
    dev.until("stopped")
    assert not any("very-secret-value-123" in line for line in dev.lines), dev.lines
