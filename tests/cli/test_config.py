"""`sabir config`, overlays, editors' schemas, and edits of the configuration while a server runs."""
import json
import time
import urllib.request

import jsonschema
import pytest
import yaml
from harness import ROOT, write
from serving import Served

SCHEMAS = ".sabir/schemas"


def rows(machine, project, file, env="staging", **more):
    done = machine.sabir("config", "show", file, "--env", env, "--explain", "--json", cwd=project, **more)
    assert done.code == 0, done
    return {row["key"]: row for row in done.json["files"][0]["values"]}


def test_each_value_says_where_it_comes_from(machine, project):
    write(project / "config/openai_config.staging.yml", "default: near\nmodels:\n  near: {provider: openai, model: \"${NEAR_MODEL:-small}\", base_url: \"http://127.0.0.1:1/v1\"}\n  claude: null\n")
    found = rows(machine, project, "openai_config", env="staging")
    assert (found["default"]["value"], found["default"]["source"], found["default"]["file"], found["default"]["line"]) == ("near", "overlay", "config/openai_config.staging.yml", 1)
    assert found["models.local.provider"]["source"] == "file" and found["models.local.provider"]["file"] == "config/openai_config.yml"
    assert found["models.near.model"]["value"] == "small" and found["models.near.model"]["variables"] == ["NEAR_MODEL (its default)"]
    assert found["models.near.retries"]["source"] == "default" and found["models.near.connect_timeout"]["value"] == "10s"
    assert not [key for key in found if key.startswith("models.claude")]
    machine.env["NEAR_MODEL"] = "large"
    text = machine.sabir("config", "show", "openai_config.yml", "--env", "staging", "--explain", cwd=project)
    assert text.code == 0 and "environment variable NEAR_MODEL" in text.out and "config/openai_config.staging.yml:3:" in text.out, text
    assert "default: local" not in text.out
    # Another environment has none of it.
    plain = machine.sabir("config", "show", "config/openai_config.yml", "--json", cwd=project).json["files"][0]
    assert plain["configuration"]["default"] == "local" and plain["files"] == ["config/openai_config.yml"]


def test_secrets_are_masked_and_never_resolved(machine, project):
    write(project / "config/secrets.json", json.dumps({"tickets_token": "tok-canary-1234567"}))
    (project / "config/secrets.json").chmod(0o600)
    machine.env.update({"TICKETS_PASSWORD": "pw-canary-7654321"})
    write(project / "config/mcp.yml", 'servers:\n  a: {url: "https://h.example/mcp", headers: {Authorization: "Bearer ${secret:tickets_token}", X-Key: tok-canary-1234567}}\n'
          '  b: {command: x, args: ["${TICKETS_PASSWORD}"]}\n')
    for words in (("--explain",), ("--explain", "--json"), (), ("--json",)):
        done = machine.sabir("config", "show", "mcp", *words, cwd=project)
        assert done.code == 0 and "canary" not in done.text, done
        assert "${secret:tickets_token}" in done.out and "[masked]" in done.out, done


@pytest.mark.parametrize("name, text, said", [
    ("sabir.staging.yml", "serv: {port: 1}\n", "sabir.staging.yml:1:1: unknown key 'serv'\n  Did you mean serve?"),
    ("config/openai_config.staging.yml", "models:\n  local: {thread: 2}\n", "config/openai_config.staging.yml:2:11: unknown key 'thread'\n  Did you mean threads?"),
    ("config/grants.staging.yml", "functions: {weather.current: weather_api_key}\n", "config/grants.staging.yml:1:13: functions.weather.current must be a list"),
    ("config/mcp.staging.yml", "servers: {a: {command: x, timeout: soon}}\n", "config/mcp.staging.yml:1:27: servers.a.timeout must be a time"),
    ("config/secrets_config.staging.yml", "order: [environment, fil]\n", "config/secrets_config.staging.yml:1:22: order.1 cannot be 'fil'\n  Did you mean file?"),
    ("config/deployment_config.staging.yml", "environments: {staging: {target: dockr}}\n", "config/deployment_config.staging.yml:1:26: environments.staging.target cannot be 'dockr'\n  Did you mean docker?"),
    ("sabir.staging.yml", "serve: {port: high}\n", "sabir.staging.yml:1:9: serve.port must be a whole number from 0 to 65535, not \"high\""),
    ("sabir.staging.yml", "name: ${NOBODY_SETS_THIS}\n", "sabir.staging.yml:1:7: the environment variable NOBODY_SETS_THIS is not set"),
    ("sabir.staging.yml", "name: ${secret:x}\n", "sabir.staging.yml:1:1: a secret cannot stand in name"),
    ("sabir.staging.yml", "name: [x\n", "sabir.staging.yml:2:1: not valid YAML"),
])
def test_what_an_overlay_may_not_say_is_refused_at_its_place(machine, project, name, text, said):
    write(project / name, text)
    done = machine.sabir("config", "show", name, "--env", "staging", cwd=project)
    assert done.code == 1 and said in done.err, done
    assert said in machine.sabir("check", "--env", "staging", cwd=project).out
    assert machine.sabir("config", "show", name, cwd=project).code == 0


def test_overlays_hold_for_every_file(machine, project):
    """What each file's overlay says is what a command of that environment does."""
    write(project / "sabir.staging.yml", "name: shop-staging\n")
    write(project / "config/grants.staging.yml", "functions: {secretly.read: [staging_key]}\n")
    write(project / "config/secrets_config.staging.yml", "order: [file]\n")
    write(project / "config/openai_config.staging.yml", "default: scripted\n")
    write(project / "config/mcp.staging.yml", "servers: {files: {command: nobody-has-this}}\n")
    write(project / "config/secrets.json", json.dumps({"staging_key": "value-of-staging"}))
    (project / "config/secrets.json").chmod(0o600)
    write(project / "functions/python/secretly.py", 'from sabir import secret\n\n\ndef read() -> int:\n    """How long.\n\n    Effect: read\n    """\n    return len(secret("staging_key"))\n')
    assert machine.sabir("call", "secretly.read", "--env", "staging", cwd=project).out.strip() == "16"
    refused = machine.sabir("call", "secretly.read", cwd=project)
    assert refused.code == 1 and "not granted" in refused.err and "config/grants.yml" in refused.err and "secretly.py:4" in refused.err, refused
    listed = machine.sabir("model", "list", "--json", "--env", "staging", cwd=project)
    assert listed.code == 0 and [one["alias"] for one in listed.json["aliases"] if one["default"]] == ["scripted"], listed
    servers = machine.sabir("mcp", "servers", "--json", "--env", "staging", cwd=project)
    assert "files" in servers.out and "files" not in machine.sabir("mcp", "servers", "--json", cwd=project).out, servers
    machine.env["SABIR_ENV"] = "staging"
    assert machine.sabir("config", "show", "sabir.yml", "--json", cwd=project).json["files"][0]["configuration"]["name"] == "shop-staging"


def test_the_reference_is_current(machine):
    """docs/config.md ends with what `sabir config reference` prints."""
    done = machine.sabir("config", "reference", cwd=machine.folder)
    page = (ROOT / "docs/config.md").read_text()
    mark = "<!-- What follows is written by `sabir config reference`. -->\n"
    assert done.code == 0 and page.count(mark) == 1
    assert page.split(mark)[1].strip() == done.out.strip(), "run: script/config-reference"


# ---- editors ---------------------------------------------------------------------------------------------------------

def documents(folder):
    out = {}
    for path in [folder / "sabir.yml", *sorted((folder / "config").glob("*.yml"))]:
        first = path.read_text().splitlines()[0]
        prefix = "# yaml-language-server: $schema="
        assert first.startswith(prefix), path
        out[path] = ((path.parent / first[len(prefix):]).resolve(), yaml.safe_load(path.read_text()))
    return out


def test_new_projects_point_editors_at_schemas_that_accept_them(machine, project):
    found = documents(project)
    assert len(found) >= 4
    for path, (schema, document) in found.items():
        assert schema.is_file() and project.resolve() in schema.parents, path
        rules = json.loads(schema.read_text())
        jsonschema.Draft7Validator.check_schema(rules)
        problems = [error.message for error in jsonschema.Draft7Validator(rules).iter_errors(document)]
        assert problems == [], (path, problems)


@pytest.mark.parametrize("file, document", [
    ("sabir", {"nam": "x"}), ("sabir", {"serve": {"port": "high"}}), ("sabir", {"serve": {"port": 70000}}), ("sabir", {"timeout": "soon"}), ("sabir", {"isolation": {"python": "sandbx"}}),
    ("openai_config", {"models": {"a": {"provider": "openai", "model": "m", "retrys": 1}}}), ("openai_config", {"models": {"a": {"provider": "opnai"}}}),
    ("grants", {"functions": {"a.b": "x"}}), ("mcp", {"servers": {"a": {"comand": "x"}}}), ("secrets_config", {"order": ["fil"]}), ("deployment_config", {"environments": {"a": {"target": "x"}}}),
])
def test_the_schemas_refuse_what_the_engine_refuses(machine, project, file, document):
    printed = machine.sabir("config", "schema", file, cwd=machine.folder)
    assert printed.code == 0, printed
    validator = jsonschema.Draft7Validator(json.loads(printed.out))
    assert list(validator.iter_errors(document)), document
    path = project / ("sabir.yml" if file == "sabir" else "config/%s.yml" % file)
    write(path, json.dumps(document))
    assert machine.sabir("config", "show", file, cwd=project).code == 1


@pytest.mark.parametrize("file, document", [
    ("sabir", {"serve": {"port": "${PORT:-80}", "tls": None}, "timeout": 3}), ("openai_config", {"models": {"a": "b", "b": {"provider": "local", "model": "m", "threads": "${N:-2}"}}}),
    ("mcp", {"servers": {"a": {"command": "x", "env": {"A": None, "B": "${secret:b}"}}}}), ("openai_config", {"default": "near"}), ("sabir", None),
])
def test_the_schemas_allow_variables_nulls_and_overlays(machine, file, document):
    validator = jsonschema.Draft7Validator(json.loads(machine.sabir("config", "schema", file, cwd=machine.folder).out))
    assert [error.message for error in validator.iter_errors(document)] == []


def test_schemas_come_back_where_they_are_missing(machine, project):
    for path in (project / SCHEMAS).iterdir():
        path.unlink()
    done = machine.sabir("config", "schema", "--write", "--json", cwd=project)
    assert done.code == 0 and all((project / name).is_file() for name in done.json["written"]) and len(done.json["written"]) >= 6, done
    (project / SCHEMAS / "mcp.json").write_text("{}")
    assert machine.sabir("check", cwd=project).code == 0
    assert json.loads((project / SCHEMAS / "mcp.json").read_text())["title"] == "config/mcp.yml"


# ---- while it serves -------------------------------------------------------------------------------------------------

def ready(served):
    with urllib.request.urlopen(served.address + "/readyz", timeout=10) as answer:
        return json.loads(answer.read())


def until(what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("not within %d s" % seconds)


def test_a_bad_edit_keeps_what_was_good_and_a_mended_one_takes_hold(machine, project):
    write(project / "functions/python/slow.py", 'import time\n\n\ndef nap(seconds: float) -> str:\n    """Sleeps.\n\n    Effect: read\n    """\n    time.sleep(seconds)\n    return "awake"\n')
    sabir_yml = project / "sabir.yml"
    good = sabir_yml.read_text()
    models = project / "config/openai_config.yml"
    models.write_text("models:\n  one: {provider: scripted, replies: [{text: first}, {text: first}, {text: first}]}\n")
    served = Served(machine, project)

    def ask():
        return machine.sabir("complete", "hello", cwd=project)

    try:
        assert served.call("slow.nap", {"seconds": 0.01}, timeout=120).status == 200
        assert ask().out.strip() == "first"

        # The project's own file.
        sabir_yml.write_text(good + "timeot: 1s\n")
        line = len(good.splitlines()) + 1
        until(lambda: "sabir.yml:%d:1: unknown key 'timeot'" % line in json.dumps(ready(served)))
        assert ready(served)["status"] == "ready" and ready(served)["configuration"]["ok"] is False
        assert served.call("slow.nap", {"seconds": 0.01}, timeout=120).status == 200
        sabir_yml.write_text(good + "timeout: 300ms\n")
        until(lambda: "configuration" not in ready(served))
        until(lambda: served.call("slow.nap", {"seconds": 2}, timeout=120).status == 504)

        # The models'.
        models.write_text("models:\n  one: {provider: scripted, replis: []}\n")
        until(lambda: "config/openai_config.yml:2:29: unknown key 'replis'" in json.dumps(ready(served)))
        assert ask().out.strip() == "first"
        models.write_text("models:\n  one: {provider: scripted, replies: [{text: second}, {text: second}]}\n")
        until(lambda: "configuration" not in ready(served))
        until(lambda: ask().out.strip() == "second")
    finally:
        served.stop()
    log = "".join(served.errors)
    assert "sabir.yml:%d:1: unknown key 'timeot'" % line in log and "keeps serving" in log and "unknown key 'replis'" in log, log


def test_usage_is_told(machine, project):
    done = machine.sabir("config", "show", "openai_confg", cwd=project)
    assert done.code == 2 and "openai_config" in done.err, done
    assert machine.sabir("config", "schema", cwd=project).code == 2
    assert machine.sabir("config", "show", cwd=machine.folder).code == 1
