"""`sabir check`: what it finds, where, and that a new project has nothing."""
import json
import subprocess

import pytest
from harness import write


def findings(machine, project, *words):
    done = machine.sabir("check", "--json", *words, cwd=project)
    assert done.code in (0, 1), done
    return done.json["findings"]


def only(found, area):
    return [(one["severity"], one["file"], one["line"], one["message"]) for one in found if one["area"] == area]


@pytest.mark.parametrize("languages", ["python,ruby,cpp", "python", "ruby", "cpp", "shell", "node", "php", "go", "rust", "java", "python,ruby,cpp,node,go,php,java,rust,shell"])
def test_a_new_project_has_no_finding(machine, made_projects, languages):
    done = machine.sabir("check", "--strict", "--json", cwd=made_projects(languages))
    assert done.code == 0 and done.json["findings"] == [] and done.json["ok"], done
    assert "0 errors, 0 warnings" in machine.sabir("check", cwd=made_projects(languages)).out


def test_warnings_fail_only_where_that_is_asked(machine, project):
    write(project / "functions/python/fresh.py", 'def fresh() -> int:\n    """One.\n\n    Effect: read\n    """\n    return 1\n')
    done = machine.sabir("check", cwd=project)
    assert done.code == 0 and "functions/python/fresh.py:1: warning: no test names the function fresh.fresh" in done.out, done
    assert machine.sabir("check", "--strict", cwd=project).code == 1
    write(project / "functions/python/tests/test_fresh.py", "def test_freshness():\n    pass\n")
    assert only(findings(machine, project), "tests") == [("warning", "functions/python/fresh.py", 1, "no test names the function fresh.fresh")]
    write(project / "functions/python/tests/test_fresh.py", "from functions.python.fresh import fresh\n\n\ndef test_it():\n    assert fresh() == 1\n")
    assert findings(machine, project) == []


def test_layout_and_what_is_unused(machine, project):
    write(project / "functions/lost.py", "")
    write(project / "functions/cobol/pay.cob", "")
    write(project / "functions/python/leftover.py", "NUMBER = 1\n")
    write(project / "functions/python/constants.py", "NUMBER = 1\n")
    source = project / "functions/python/function1.py"
    source.write_text("from . import constants  # noqa: F401\n" + source.read_text())
    found = findings(machine, project)
    assert ("warning", "functions/lost.py") in [one[:2] for one in only(found, "layout")] and ("warning", "functions/cobol") in [one[:2] for one in only(found, "layout")]
    assert [one[1] for one in only(found, "unused")] == ["functions/python/leftover.py"], found
    write(project / "completions/prompt_parts/nobody.txt", "x\n")
    assert any(one["file"] == "completions/prompt_parts/nobody.txt" for one in findings(machine, project))


def test_grants_for_what_is_not_there(machine, project):
    write(project / "config/grants.yml", "functions:\n  weather.current: [weather_api_key]\n  weather.curent: [weather_api_key]\n  function1.*: [nobody_has_it]\n"
          "assistants:\n  nobody: [weather_api_key]\nprompts:\n  summry: [weather_api_key]\n")
    found = only(findings(machine, project), "grants")
    assert ("warning", "config/grants.yml", 3, "there is no function 'weather.curent' to grant anything to") in found, found
    assert ("warning", "config/grants.yml", 6, "there is no assistant 'nobody' to grant anything to") in found
    assert ("warning", "config/grants.yml", 8, "there is no prompt 'summry' to grant anything to") in found
    assert ("warning", "config/grants.yml", 4, "the secret 'nobody_has_it' is set nowhere, and config/secrets.example.json does not name it") in found
    assert len(found) == 4
    write(project / "config/grants.yml", "")
    write(project / "completions/asks.prompt", "---\nsecrets: [one_key]\n---\n{{ secret(\"one_key\") }}\n{{ secret('weather_api_key') }}\n")
    found = [one for one in findings(machine, project) if one["area"] == "grants" and one["severity"] == "error"]
    assert [(one["file"], one["line"]) for one in found] == [("completions/asks.prompt", 5)] and "secrets: [weather_api_key]" in found[0]["hint"], found


def test_secrets_that_others_can_read_and_values_in_the_tree(machine, project):
    write(project / "config/secrets.json", json.dumps({"weather_api_key": "canary-value-777"}))
    (project / "config/secrets.json").chmod(0o644)
    done = machine.sabir("check", cwd=project)
    assert done.code == 1 and "config/secrets.json" in done.out and "chmod 600" in done.out, done
    (project / "config/secrets.json").chmod(0o600)
    assert machine.sabir("check", cwd=project).code == 0
    write(project / "notes.md", "first\nthe key is canary-value-777\n")
    found = findings(machine, project)
    assert [(one["severity"], one["area"], one["file"], one["line"]) for one in found] == [("error", "secrets", "notes.md", 2)] and "canary" not in json.dumps(found), found
    (project / "notes.md").unlink()
    for words in (["init", "-q"], ["add", "-f", "config/secrets.json"]):
        subprocess.run(["git", *words], cwd=project, check=True, env=machine.env)
    tracked = machine.sabir("check", cwd=project)
    assert tracked.code == 1 and "git" in tracked.out and "canary" not in tracked.out, tracked


def test_configuration_of_every_environment(machine, project):
    write(project / "config/openai_config.staging.yml", "models:\n  local: {thread: 1}\n")
    write(project / "config/openai_config.stagng.yml", "default: local\n")
    write(project / "config/grant.yml", "functions: {}\n")
    write(project / "config/mcp.yaml", "servers: {}\n")
    write(project / "config/house.yml", "mine: yes\n")
    write(project / "sabir.yml", (project / "sabir.yml").read_text() + "pools: {cpp: {max: 1}}\nexpose: {rest: [weather.*, nothing.here]}\nmcp: {prompts: {a: no.such}}\nserve: {environments: {prodution: {port: 1}}}\n")
    lines = (project / "sabir.yml").read_text().splitlines()
    found = findings(machine, project)
    config = [(severity, file, line) for severity, file, line, _ in only(found, "config")]
    assert ("error", "config/openai_config.staging.yml", 2) in config and ("warning", "config/openai_config.stagng.yml", 0) in config, found
    assert ("warning", "config/grant.yml", 0) in config and ("warning", "config/mcp.yaml", 0) in config
    assert not [one for one in config if one[1] == "config/house.yml"]
    for start in ("pools", "mcp", "serve"):
        assert ("warning", "sabir.yml", next(i for i, line in enumerate(lines, 1) if line.startswith(start))) in config, (start, config)
    exposure = only(found, "exposure")
    assert [one[2] for one in exposure] == [next(i for i, line in enumerate(lines, 1) if line.startswith("expose"))] and "nothing.here" in exposure[0][3], exposure


def test_a_broken_sabir_yml_is_told_with_all_else_that_is_known(machine, project):
    write(project / "sabir.yml", "langages: [python]\ntimeout: soon\n")
    write(project / "config/mcp.yml", "server: {}\n")
    done = machine.sabir("check", "--json", cwd=project)
    assert done.code == 1 and [(one["file"], one["line"]) for one in done.json["findings"]] == [("config/mcp.yml", 1), ("sabir.yml", 1), ("sabir.yml", 2)], done
    assert all(one["hint"] for one in done.json["findings"]), done
