"""One file of expectations, sdk_behaviour.json, drives every language's SDK: through a worker, and in a plain process."""
import json
import shutil
import subprocess
import sys
import threading
import time

import pytest
from harness import ROOT, node, write
from languages.engine_client import Engine

TOLD = json.loads((ROOT / "tests/languages/sdk_behaviour.json").read_text(encoding="utf-8"))
LANGUAGES = sorted(path.parent.name for path in ROOT.glob("languages/*/language.yml"))
# An SDK that a plain process of its own language can use without a build.
PLAIN = ["node", "python", "ruby"]
DEADLINE = 120


def expand(value):
    """{"repeat": [text, times]} as the text it stands for."""
    if isinstance(value, dict):
        if value.keys() == {"repeat"}:
            return value["repeat"][0] * value["repeat"][1]
        return {key: expand(item) for key, item in value.items()}
    return [expand(item) for item in value] if isinstance(value, list) else value


def fits(expected, actual):
    """Equal by value and type; {"has": text} is in a text, {"holds": [items]} are in a list."""
    if isinstance(expected, dict) and expected.keys() == {"has"}:
        return isinstance(actual, str) and expand(expected["has"]) in actual
    if isinstance(expected, dict) and expected.keys() == {"holds"}:
        return isinstance(actual, list) and all(item in actual for item in expected["holds"])
    if isinstance(expected, dict) and expected.keys() == {"repeat"}:
        return actual == expand(expected)
    if isinstance(expected, dict):
        return isinstance(actual, dict) and expected.keys() == actual.keys() and all(fits(item, actual[key]) for key, item in expected.items())
    if isinstance(expected, list):
        return isinstance(actual, list) and len(expected) == len(actual) and all(map(fits, expected, actual))
    return type(expected) is type(actual) and expected == actual


class Probed:
    """A project with one language's probe."""

    def __init__(self, machine, language):
        self.machine, self.language = machine, language
        self.probe = probe_of(language)
        if language == "node":
            machine.use_node()
        self.project = machine.folder / language
        made = machine.sabir("new", self.project, "--languages", "python")
        assert made.code == 0, made
        for source in (self.project / "functions/python").rglob("*.py"):
            source.unlink()
        for name, lines in TOLD["files"].items():
            write(self.project / name, "\n".join(lines) + "\n")
        (self.project / "config/secrets.json").chmod(0o600)
        for script in sorted((self.project / "tests").glob("*.py")):
            script.unlink()
        (self.project / "functions" / language).mkdir(exist_ok=True)
        shutil.copy(self.probe, self.project / "functions" / language / self.probe.name)
        self.log = []
        self.clients = {}

    def start(self):
        # A language's own programs are compiled on their first use, and on a busy machine that takes several attempts.
        end = time.monotonic() + 400
        while True:
            listed = self.machine.sabir("functions", "--json", cwd=self.project, timeout=300)
            if "took more than" not in listed.out or time.monotonic() > end:
                break
        assert listed.code == 0, listed
        engine = self.machine.start_engine(self.project, env={"SABIR_MODEL": "scripted", "SABIR_LOG": "info"})
        threading.Thread(target=engine.stdout.read, daemon=True).start()
        threading.Thread(target=lambda: self.log.extend(iter(engine.stderr.readline, "")), daemon=True).start()
        listed = self.client({}).request("functions.list", {})[0]["result"]["functions"]
        self.parameters = {one["address"].removeprefix("sdk_probe."): list(one["input_schema"].get("properties", {}))
                           for one in listed if one["language"] == self.language and one["address"].startswith("sdk_probe.")}

    def client(self, context):
        key = json.dumps(context, sort_keys=True)
        if key not in self.clients:
            self.clients[key] = Engine(self.project, context)
        return self.clients[key]

    def run(self, step):
        """(value or None, error or None, progress)"""
        name = step["probe"]
        assert name in self.parameters, "%s has no function %s: %s" % (self.probe.name, name, sorted(self.parameters))
        # A reserved word has an underscore at its end.
        arguments = {key if key in self.parameters[name] else key + "_": value for key, value in expand(step["arguments"]).items()}
        answer, progress = self.client(step.get("as", {})).request("functions.call", {
            "address": "%s/sdk_probe.%s" % (self.language, name), "arguments": arguments, "stream": "progress" in step})
        if "error" in answer:
            data = answer["error"].get("data", {})
            return None, {"type": data.get("type"), "cause": data.get("cause", {}).get("type"), "message": answer["error"]["message"]}, progress
        return answer["result"]["value"], None, progress

    def logged(self, text):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if any(text in line for line in self.log):
                return True
            time.sleep(0.02)
        return False

    def close(self):
        for client in self.clients.values():
            client.close()
        self.machine.stop()


def probe_of(language):
    found = [path for path in (ROOT / "languages" / language).glob("sdk_probe.*")]
    assert len(found) == 1, "languages/%s has no sdk_probe: spec/sdk-probe.md says what it does" % language
    return found[0]


def judged(step, language, value, error):
    """What is wrong with an answer; "" for nothing."""
    name = "%s: %s" % (step["name"], step["probe"])
    if "error" in step:
        told = step["error"]
        if error is None or error["type"] != told["type"] or told["message"] not in error["message"] or error.get("cause") != told.get("cause"):
            return "%s should fail with %s: %s" % (name, json.dumps(told), json.dumps(error or {"value": value})[:500])
        return ""
    if language in step.get("differs", {}):
        other = step["differs"][language]
        if other.get("may_refuse") and error is not None or any(error is None and fits(one, value) for one in other.get("or", [])):
            return ""
    if error is not None or not fits(step["value"], value):
        return "%s should give %s: %s" % (name, json.dumps(step["value"], ensure_ascii=False)[:500],
                                          json.dumps(error or value, ensure_ascii=False)[:500])
    return ""


def test_the_steps_use_every_function_of_the_probe():
    told = {line.split("`")[1].split("(")[0] for line in (ROOT / "spec/sdk-probe.md").read_text().splitlines() if line.startswith("| `probe_")}
    assert {step["probe"] for step in TOLD["steps"]} == told
    assert len(TOLD["steps"]) >= 40
    assert all(set(step.get("differs", {})) <= set(LANGUAGES) | {"java", "rust", "shell"} for step in TOLD["steps"])


def test_the_command_line_renders_the_bytes_that_every_sdk_gets(machine):
    one = Probed(machine, "python")
    steps = [step for step in TOLD["steps"] if step["probe"] == "probe_render" and isinstance(step.get("value"), str)]
    assert len(steps) >= 3
    try:
        for engine in (False, True):
            if engine:
                machine.start_engine(one.project)
            for step in steps:
                told = step["arguments"]
                done = machine.sabir("prompt", "render", told["name"], "--args", "-", cwd=one.project, input=json.dumps(told["variables"]))
                assert (done.code, done.out) == (0, step["value"]), (step["name"], engine, done)
    finally:
        one.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_sdk_in_a_worker(machine, language):
    probe_of(language)
    one = Probed(machine, language)
    try:
        one.start()
        problems = []
        for step in TOLD["steps"]:
            if len([problem for problem in problems if problem]) > 20:
                problems.append("and so on")
                break
            value, error, progress = one.run(step)
            problems.append(judged(step, language, value, error))
            if "progress" in step and progress != step["progress"]:
                problems.append("%s: the progress is %s" % (step["name"], progress))
            if "log" in step and not one.logged(step["log"]):
                problems.append("%s: it is not in the engine's log" % step["name"])
        problems = [problem for problem in problems if problem]
        if problems:
            pytest.fail("\n".join(problems), pytrace=False)
    finally:
        one.close()


@pytest.mark.parametrize("language", PLAIN)
def test_an_sdk_in_a_plain_process(machine, language):
    one = Probed(machine, language)
    driver = ROOT / "tests/languages/plain"
    sdk = machine.sabir("sdk", "path", language, cwd=one.project).out.strip()
    command = {"python": [sys.executable, driver / "python.py", one.probe], "ruby": ["ruby", "-I", sdk, driver / "ruby.rb", one.probe],
               "node": [node(), "--experimental-strip-types", "--disable-warning=ExperimentalWarning", "--import", sdk + "/sabir/register.mjs",
                        driver / "node.mjs", one.probe, sdk]}[language]
    env = dict(machine.env, SABIR_MODEL="scripted", SABIR_BIN=str(machine.binary), PYTHONPATH=sdk)
    # The probe of a client stands outside the project's tree as well as in it: nothing of it is served here.
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
                          cwd=one.project, env=env) as process:
        watch = threading.Timer(DEADLINE, process.kill)
        watch.start()
        try:
            problems = []
            for step in TOLD["steps"]:
                if "plain" in step:
                    continue
                process.stdin.write(json.dumps([step["probe"], expand(step["arguments"])]) + "\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline() or '{"error": {"type": "ended", "message": "the process ended"}}')
                told = step
                if "error" in step and "cause" in step["error"]:
                    # Here the engine's own error comes, not one of a function that met it.
                    told = dict(step, error={"type": step["error"]["cause"], "message": step["error"]["message"]})
                problems.append(judged(told, language, answer.get("value"), answer.get("error")))
            problems = [problem for problem in problems if problem]
            if problems:
                pytest.fail("\n".join(problems), pytrace=False)
        finally:
            watch.cancel()
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            machine.stop()
