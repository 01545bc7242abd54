"""What `sabir new` writes is complete: its own tests pass with nothing started by hand."""
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from harness import write

SEED = """
def test_function_and_memory_integration():
    from functions.python import function1
    from memory.python import memory_management

    result = function1.do_something()
    memory_management.store_result(result)
    assert memory_management.retrieve_result() == result
"""


def run_pytest(machine, project, *arguments, **options):
    return machine.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, cwd=project, timeout=300, **options)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_tree_is_the_one_users_know(machine):
    done = machine.sabir("new", "shop", "--languages", "python,ruby,cpp")
    assert done.code == 0, done
    tree = files(machine.folder / "shop")
    for path in """functions/python/__init__.py functions/python/function1.py functions/python/tests/test_function1.py
            functions/ruby/slugify.rb functions/ruby/tests/test_slugify.rb functions/cpp/stats.cpp
            functions/cpp/tests/test_stats.cpp completions/prompt_parts/role.txt completions/generate_prompt.py
            completions/tests/test_generate_prompt.py assistants/python/assistant1.py
            assistants/python/tests/test_assistant1.py assistants/ruby/editor.rb memory/python/memory_management.py
            memory/ruby/memory_management.rb memory/cpp/memory_management.cpp scripts/deploy.py scripts/manage_secrets.py
            scripts/call_openai_api.py config/openai_config.yml config/deployment_config.yml config/secrets.example.json
            tests/conftest.py tests/integration/test_integration.py README.md sabir.yml pytest.ini .rspec .gitignore
            .github/workflows/ci.yml requirements.txt Gemfile""".split():
        assert path in tree, path
    assert "config/secrets.json" not in tree


@pytest.mark.parametrize("languages", ["python", "ruby", "cpp", "ruby,cpp", "python,cpp"])
def test_fewer_languages_leave_no_trace_of_the_others(machine, languages):
    done = machine.sabir("new", "shop", "--languages", languages)
    assert done.code == 0, done
    chosen = languages.split(",")
    shop = machine.folder / "shop"
    for folder in ("functions", "memory"):
        assert sorted(path.name for path in (shop / folder).iterdir()) == sorted(chosen)
    endings = {"python": ".py", "ruby": ".rb", "cpp": ".cpp"}
    for language, ending in endings.items():
        if language not in chosen:
            assert not [path for path in files(shop) if path.endswith(ending) and not path.startswith("scripts/")]
    checked = machine.sabir("check", cwd=shop)
    assert checked.code == 0, checked


def test_every_source_of_a_new_project_reads_without_a_warning(machine, whole_project):
    done = machine.sabir("check", "--json", cwd=whole_project)
    assert done.code == 0, done
    assert done.json["problems"] == [] and done.json["warnings"] == [] and done.json["prompts"]["problems"] == []


def test_a_folder_with_files_is_refused_and_left_alone(machine):
    kept = write(machine.folder / "shop" / "notes.txt", "mine")
    done = machine.sabir("new", "shop")
    assert done.code == 1 and "not empty" in done.err, done
    assert files(machine.folder / "shop") == ["notes.txt"] and kept.read_text() == "mine"


def test_the_current_folder_can_become_a_project(machine):
    folder = machine.folder / "shop"
    folder.mkdir()
    inode = folder.stat().st_ino
    done = machine.sabir("new", ".", cwd=folder)
    assert done.code == 0, done
    assert folder.stat().st_ino == inode and (folder / "sabir.yml").is_file()


@pytest.mark.parametrize("arguments, wanted", [
    (["my shop"], "my_shop"),
    (["shop", "--languages", "pyhton"], "python"),
    (["shop", "--languages", "cobol"], "python, ruby, cpp"),
])
def test_what_cannot_be_is_refused_with_what_can(machine, arguments, wanted):
    done = machine.sabir("new", *arguments)
    assert done.code == 2 and wanted in done.err, done
    assert not (machine.folder / arguments[0]).exists()


def test_a_full_disk_leaves_nothing_behind(machine):
    probe = machine.run("unshare", "-rm", "true")
    if probe.code != 0:
        pytest.skip("this machine allows no namespace of one's own: " + probe.err.strip())
    done = machine.run("unshare", "-rm", "sh", "-c", """
        mkdir disk && mount -t tmpfs -o size=24k tmpfs disk && cd disk || exit 77
        "$0" new shop; code=$?; ls -A; exit $code""", machine.binary)
    if done.code == 77:
        pytest.skip("this machine allows no mount in a namespace of one's own")
    assert done.code == 1 and "space" in done.err, done
    assert done.out.strip() == ""


def test_killed_at_any_moment_it_leaves_a_whole_project_or_none(machine):
    whole = None
    for delay in range(0, 24, 2):
        path = machine.folder / ("shop%d" % delay)
        process = subprocess.Popen([str(machine.binary), "new", str(path)], env=machine.env, cwd=machine.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=delay / 1000)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if path.exists():
            whole = whole or files(path)
            assert files(path) == whole


def test_bare_pytest_runs_every_component(machine, whole_project):
    done = run_pytest(machine, whole_project, "-v")
    assert done.code == 0, done
    for folder in ("functions/python/tests", "completions/tests", "assistants/python/tests", "memory/python/tests",
                   "tests/integration"):
        assert folder in done.out, folder
    # Tests of what is deployed wait for an address.
    assert " passed" in done.out and "warning" not in done.out
    assert all("test_deployed.py" in line for line in done.out.splitlines() if "SKIPPED" in line)


def test_bare_rspec_runs_every_component(machine, whole_project):
    done = machine.run("rspec", "--format", "json", cwd=whole_project, timeout=300)
    assert done.code == 0, done
    told = json.loads(done.out[done.out.index("{"):])
    seen = {example["file_path"] for example in told["examples"]}
    for folder in ("functions/ruby/tests", "completions/tests", "assistants/ruby/tests", "memory/ruby/tests", "tests/integration"):
        assert any(path.startswith("./" + folder) for path in seen), folder
    assert told["summary"]["pending_count"] == 0


def test_sabir_test_runs_all_three(machine, whole_project):
    done = machine.sabir("test", "--json", cwd=whole_project, timeout=400)
    assert done.code == 0, done
    suites = {suite["name"]: suite for suite in done.json["suites"]}
    assert set(suites) == {"pytest", "rspec", "c++", "evals"}
    assert all(suite["cases"] for suite in suites.values())


def test_the_literal_integration_test_passes(machine, project):
    shutil.rmtree(project / "tests" / "integration")
    write(project / "tests" / "integration" / "test_integration.py", SEED)
    done = run_pytest(machine, project, "tests/integration/test_integration.py")
    assert done.code == 0 and "1 passed" in done.out, done


def test_ruby_and_the_command_line_read_what_python_stored(machine, project):
    code = "from memory.python import memory_management as m; print(m.store_result({'words': [1, 2.5, None, 'é']}))"
    sdk = machine.sabir("sdk", "path", "python").out.strip()
    done = machine.run(sys.executable, "-c", code, cwd=project, env={"PYTHONPATH": sdk + os.pathsep + str(project)})
    assert (done.code, done.out) == (0, "1\n"), done
    ruby_sdk = machine.sabir("sdk", "path", "ruby").out.strip()
    done = machine.run("ruby", "-I", ruby_sdk, "-r", "./memory/ruby/memory_management", "-e", "p retrieve_result", cwd=project)
    assert done.out.strip() in ('{"words"=>[1, 2.5, nil, "é"]}', '{"words" => [1, 2.5, nil, "é"]}'), done
    done = machine.sabir("call", "ruby/memory_management.retrieve_result", "--json", cwd=project)
    assert done.json == {"words": [1, 2.5, None, "é"]}, done
    done = machine.sabir("memory", "get", "results/latest", "--json", cwd=project)
    assert done.code == 0 and '"words"' in done.out, done


def test_the_tests_of_a_project_leave_its_own_data_alone(machine, project):
    assert machine.sabir("memory", "put", "results/latest", '"mine"', cwd=project).code == 0
    done = run_pytest(machine, project, "tests", "memory")
    assert done.code == 0, done
    done = machine.sabir("memory", "get", "results/latest", cwd=project)
    assert "mine" in done.out, done


@pytest.mark.parametrize("how", ["no engine", "a wrong SABIR_BIN"])
def test_without_the_engine_each_runner_says_so_in_one_line(machine, project, how):
    (machine.bin / "sabir").unlink()
    env = {} if how == "no engine" else {"SABIR_BIN": "/nowhere/sabir"}
    for done in (run_pytest(machine, project, env=env), machine.run("rspec", cwd=project, env=env)):
        assert done.code == 2, done
        assert len(done.text.strip().splitlines()) == 1 and "engine" in done.text and "SABIR_BIN" in done.text, done


def test_a_runner_that_finds_no_test_fails(machine, project):
    for path in list(project.rglob("test_*")):
        path.unlink()
    done = run_pytest(machine, project)
    assert done.code == 5, done
    done = machine.run("rspec", cwd=project)
    assert done.code != 0, done


def test_prompts_are_the_same_bytes_from_the_command_line_python_and_ruby(machine, project):
    cli = machine.sabir("prompt", "render", "summary", "text=Été", "reader=a child", "sentences:=1", cwd=project)
    assert cli.code == 0, cli
    sdk = machine.sabir("sdk", "path", "python").out.strip()
    python = machine.run(sys.executable, "-c", "from completions.generate_prompt import generate_prompt as g\n"
                         "print(g('Été', 'a child', 1), end='')", cwd=project, env={"PYTHONPATH": sdk + os.pathsep + str(project)})
    ruby_sdk = machine.sabir("sdk", "path", "ruby").out.strip()
    ruby = machine.run("ruby", "-I", ruby_sdk, "-r", "sabir", "-e",
                       'print Sabir.render("summary", text: "Été", reader: "a child", sentences: 1)', cwd=project)
    assert cli.out == python.out == ruby.out and "Été" in cli.out, (cli, python, ruby)


# ---- the function that calls an HTTP API ----------------------------------------------------------------------------

class Weather(BaseHTTPRequestHandler):
    seen = []

    def do_GET(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        Weather.seen.append(query)
        found = query.get("key") == "the-key-for-tests"
        body = {"location": {"name": query.get("q")}, "current": {"temp_c": 18.5, "condition": {"text": "Sunny"}}}
        self.send_response(200 if found else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body if found else {}).encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def weather_api():
    server = HTTPServer(("127.0.0.1", 0), Weather)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Weather.seen = []
    yield "http://127.0.0.1:%d" % server.server_port
    server.shutdown()
    server.server_close()


def test_a_function_calls_an_http_api_with_its_granted_key(machine, project, weather_api):
    env = {"WEATHER_API_URL": weather_api, "WEATHER_API_KEY": "the-key-for-tests"}
    done = machine.sabir("call", "weather.current", "city=Paris", "--json", cwd=project, env=env)
    assert done.code == 0, done
    assert done.json == {"city": "Paris", "celsius": 18.5, "sky": "Sunny"}


def test_the_key_may_stand_in_secrets_json(machine, project, weather_api):
    path = write(project / "config" / "secrets.json", '{"weather_api_key": "the-key-for-tests"}')
    path.chmod(0o600)
    done = machine.sabir("call", "weather.current", "city=Paris", cwd=project, env={"WEATHER_API_URL": weather_api})
    assert done.code == 0 and "Sunny" in done.out, done


def test_without_the_grant_the_error_names_the_line_to_add(machine, project, weather_api):
    write(project / "config" / "grants.yml", "functions: {}\n")
    env = {"WEATHER_API_URL": weather_api, "WEATHER_API_KEY": "the-key-for-tests"}
    done = machine.sabir("call", "weather.current", "city=Paris", cwd=project, env=env)
    assert done.code == 1, done
    assert "config/grants.yml" in done.err and "weather.current" in done.err and "[weather_api_key]" in done.err
    assert "the-key-for-tests" not in done.text and Weather.seen == []


def test_without_the_key_the_error_names_both_ways_to_give_it(machine, project, weather_api):
    done = machine.sabir("call", "weather.current", "city=Paris", cwd=project, env={"WEATHER_API_URL": weather_api})
    assert done.code == 1 and "WEATHER_API_KEY" in done.err and "sabir secrets set weather_api_key" in done.err, done
    assert Weather.seen == []


# ---- scripts --------------------------------------------------------------------------------------------------------

def test_the_scripts_hand_their_work_to_the_engine(machine, project):
    env = {"SABIR_MODEL": "scripted"}
    done = machine.run(sys.executable, "scripts/call_openai_api.py", "Once upon a time", cwd=project, env=env)
    assert done.code == 0 and done.out.strip(), done
    done = machine.run(sys.executable, "scripts/manage_secrets.py", "set", "openai_api_key", cwd=project, input="sk-for-tests-1\n")
    assert done.code == 0, done
    kept = project / "config" / "secrets.json"
    assert json.loads(kept.read_text())["openai_api_key"] == "sk-for-tests-1" and kept.stat().st_mode & 0o777 == 0o600
    done = machine.run(sys.executable, "scripts/manage_secrets.py", cwd=project)
    assert "config/secrets.json" in done.out and "sk-for-tests-1" not in done.text, done
    done = machine.run(sys.executable, "scripts/deploy.py", "nowhere", cwd=project)
    assert done.code == 1 and "has no environment 'nowhere'" in done.err, done


def test_the_scripts_can_be_imported(machine, project):
    code = ("from scripts.call_openai_api import call_openai\nfrom scripts.manage_secrets import load_secrets\n"
            "from scripts.deploy import deploy\nprint(call_openai, load_secrets, deploy)")
    done = machine.run(sys.executable, "-c", code, cwd=project, env={"PYTHONPATH": str(project)})
    assert done.code == 0, done


def test_without_the_engine_a_script_says_so(machine, project):
    (machine.bin / "sabir").unlink()
    for script in ("call_openai_api.py", "manage_secrets.py", "deploy.py"):
        done = machine.run(sys.executable, "scripts/" + script, cwd=project)
        assert done.code != 0 and "engine" in done.err and "Traceback" not in done.err, done


def test_the_binary_alone_in_another_folder_makes_and_serves_a_project(machine, tmp_path):
    alone = tmp_path / "elsewhere" / "sabir"
    alone.parent.mkdir()
    shutil.copy(machine.binary, alone)
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert machine.run(alone, "new", "shop", "--languages", "python,ruby", env=env).code == 0
    done = machine.run(alone, "call", "slugify", "text=Été à Paris", cwd=machine.folder / "shop", env=env)
    assert (done.code, done.out) == (0, "ete-a-paris\n"), done


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="installs packages: with CI=true only")
def test_the_plain_workflow_needs_none_of_the_engine_s_commands(machine, project):
    """pip, bundle, pytest, rspec and a script, as a team without Sabir would do it. --local: the gems are those of the system, since no registry of Ruby's is to be had."""
    shutil.rmtree(project / ".sabir", ignore_errors=True)
    own = machine.folder / "own"
    for command in (["python3", "-m", "venv", own], [own / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"], ["bundle", "install", "--local"],
                    [own / "bin/pytest", "-q"], ["bundle", "exec", "rspec"], ["rspec"]):
        done = machine.run(*command, cwd=project, timeout=400)
        assert done.code == 0, done
    try:
        done = machine.run(own / "bin/python", "scripts/deploy.py", cwd=project, env={"PATH": "%s:%s" % (own / "bin", machine.env["PATH"])}, timeout=400)
        assert done.code == 0 and "r1 is released: development answers at http://127.0.0.1:" in done.out, done
    finally:
        machine.sabir("deploy", "destroy", "--yes", "--env", "development", cwd=project, timeout=120)
