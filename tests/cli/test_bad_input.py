"""What a user does wrong, or finds broken, and the message they get: what failed, on which input, what to do next."""
import json
import os
import shutil
import socket
import sqlite3
import sys
from pathlib import Path

import pytest
from harness import write


def refused(done, *wanted, code=1):
    """The command failed with `code` and said all of `wanted` on standard error, with no stack trace."""
    assert done.code == code, done
    for text in wanted:
        assert text in done.err, (text, done)
    for noise in ("Traceback", "terminate called", "std::", "boost::"):
        assert noise not in done.err, (noise, done)


def error_of(done):
    assert done.code != 0, done
    return done.json["error"]


# ---- calls ----------------------------------------------------------------------------------------------------------

def test_an_unknown_function_is_answered_with_the_nearest_names(machine, project):
    refused(machine.sabir("call", "slugfy", "text=x", cwd=project), "slugfy", "slugify")
    refused(machine.sabir("call", "text_tool.word_lengths", "text=x", cwd=project), "text_tools.word_lengths")
    error = error_of(machine.sabir("call", "slugfy", "text=x", "--json", cwd=project))
    assert error["type"] == "unknown_function" and "slugify" in error["hint"]


def test_an_unknown_language_in_an_address_is_named(machine, project):
    refused(machine.sabir("call", "rubby/slugify", "text=x", cwd=project), "rubby")


def test_a_value_of_the_wrong_type_is_named_with_path_and_expected_type(machine, project):
    refused(machine.sabir("call", "text_tools.word_lengths", "text:=5", cwd=project), "text", "string")
    error = error_of(machine.sabir("call", "text_tools.word_lengths", "text:=[1]", "--json", cwd=project))
    assert error["type"] == "invalid_arguments" and "/text" in json.dumps(error)


def test_a_word_where_numbers_belong_is_refused(machine, whole_project):
    refused(machine.sabir("call", "stats.mean", "values=three", cwd=whole_project), "values")
    refused(machine.sabir("call", "stats.mean", 'values:=[1,"two",3]', cwd=whole_project), "/values/1", "number")


def test_a_missing_argument_is_named(machine, project):
    refused(machine.sabir("call", "slugify", cwd=project), "text")
    assert error_of(machine.sabir("call", "slugify", "--json", cwd=project))["type"] == "invalid_arguments"


def test_an_argument_too_many_is_named(machine, project):
    refused(machine.sabir("call", "slugify", "text=x", "colour=red", cwd=project), "colour")


@pytest.mark.parametrize("arguments", [["text:=[1,"], ["--args", "{"], ["--args", "[1]"], ["text"], ["--args", "@nowhere.json"]])
def test_arguments_that_cannot_be_read_are_refused(machine, project, arguments):
    done = machine.sabir("call", "slugify", *arguments, cwd=project)
    assert done.code in (1, 2) and done.err.startswith("sabir: "), done


def test_a_result_that_breaks_the_functions_own_promise_is_refused(machine, project):
    write(project / "functions/python/wrong.py", 'def count() -> int:\n    """Counts."""\n    return "three"\n')
    refused(machine.sabir("call", "wrong.count", cwd=project), "wrong.count", "integer")


def test_an_exception_is_told_with_file_and_line(machine, project):
    write(project / "functions/python/divide.py", "def divide(a: int, b: int) -> float:\n    return a / b\n")
    refused(machine.sabir("call", "divide.divide", "a=1", "b=0", cwd=project), "functions/python/divide.py:2", "division by zero")
    error = error_of(machine.sabir("call", "divide.divide", "a=1", "b=0", "--json", cwd=project))
    assert error["type"] == "function_error" and error["line"] == 2


def test_a_function_that_takes_too_long_is_ended(machine, project):
    write(project / "functions/python/slow.py", 'import time\n\ndef wait() -> None:\n    """Waits.\n\n    Timeout: 300ms\n    """\n    time.sleep(60)\n')
    done = machine.sabir("call", "slow.wait", "--json", cwd=project, timeout=30)
    assert error_of(done)["type"] == "timeout" and done.seconds < 15


# ---- the user's own files -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path, text, line", [
    ("functions/python/broken.py", "def fine() -> int:\n    return 1\n\ndef broken(:\n    pass\n", 4),
    ("functions/ruby/broken.rb", "def fine\n  1\nend\n\ndef broken(\n", 5),
])
def test_a_syntax_error_is_told_with_file_and_line_and_stops_nothing_else(machine, project, path, text, line):
    write(project / path, text)
    checked = machine.sabir("check", cwd=project)
    assert checked.code == 1 and path + ":" in checked.text, checked
    called = machine.sabir("call", "broken.fine", cwd=project)
    assert called.code == 1 and path in called.err, called
    assert machine.sabir("call", "slugify", "text=A b", cwd=project).out == "a-b\n"
    assert machine.sabir("call", "function1.do_something", cwd=project).code == 0
    del line


def test_a_missing_import_is_told_with_file_and_line(machine, project):
    write(project / "functions/python/needs.py", "import nowhere_to_be_found\n\ndef answer() -> int:\n    return 1\n")
    refused(machine.sabir("call", "needs.answer", cwd=project), "functions/python/needs.py:1", "nowhere_to_be_found")


def test_cpp_that_does_not_compile_is_told_with_file_and_line(machine, whole_project):
    write(whole_project / "functions/cpp/broken.cpp", "/// @effect read\nint broken() {\n  return nowhere;\n}\n")
    refused(machine.sabir("call", "broken.broken", cwd=whole_project), "functions/cpp/broken.cpp:3", "nowhere")


# ---- what is missing on the machine ---------------------------------------------------------------------------------

@pytest.fixture
def without_ruby(machine):
    """A PATH with Python and without Ruby."""
    folder = machine.folder / "few"
    folder.mkdir()
    (folder / "python3").symlink_to(Path(sys.executable).resolve())
    for name in ("sh", "env"):
        (folder / name).symlink_to(shutil.which(name))
    return {"PATH": str(folder)}


def test_a_missing_interpreter_disables_its_own_functions_only(machine, project, without_ruby):
    refused(machine.sabir("call", "slugify", "text=x", cwd=project, env=without_ruby), "ruby", "install")
    done = machine.sabir("call", "function1.do_something", cwd=project, env=without_ruby)
    assert done.code == 0, done
    error = error_of(machine.sabir("call", "slugify", "text=x", "--json", cwd=project, env=without_ruby))
    assert error["type"] == "unavailable"


def test_doctor_names_what_is_missing_and_the_command_that_fixes_it(machine, project, without_ruby):
    done = machine.sabir("doctor", cwd=project, env=without_ruby)
    assert done.code == 1 and "ruby" in done.text.lower() and "apt" in done.text, done


def test_outside_a_project_the_way_to_make_one_is_told(machine):
    refused(machine.sabir("call", "slugify", "text=x"), "sabir.yml", "sabir new")
    refused(machine.sabir("functions", "--project", "/nowhere/at/all"), "/nowhere/at/all")
    assert error_of(machine.sabir("memory", "list", "--json"))["type"] == "no_project"


# ---- configuration --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, wanted", [
    ("languages: [python\n", "sabir.yml:"),
    ("languages: [python]\npool: {}\n", "sabir.yml:2"),
    ("languages: [pyhton]\n", "python"),
    ("engine: 99.0.0\n", "99.0.0"),
    ("- one\n- two\n", "sabir.yml"),
])
def test_a_wrong_sabir_yml_is_told_with_its_line(machine, project, text, wanted):
    write(project / "sabir.yml", text)
    done = machine.sabir("functions", cwd=project)
    refused(done, wanted)


def test_a_config_file_that_cannot_be_read_is_named(machine, project):
    (project / "config/openai_config.yml").unlink()
    (project / "config/openai_config.yml").mkdir()
    refused(machine.sabir("complete", "hello", cwd=project), "config/openai_config.yml")


@pytest.mark.parametrize("text, wanted", [
    ("default: local\nmodels: {local: {provider: locl, model: x}}\n", "local"),
    ("default: nobody\nmodels: {scripted: {provider: scripted, script: tests/scripted_replies.json}}\n", "nobody"),
    ("default: a\nmodels:\n  a: {provider: openai, modell: x}\n", "openai_config.yml:3"),
    ("models: [\n", "openai_config.yml:"),
])
def test_a_wrong_openai_config_is_told(machine, project, text, wanted):
    write(project / "config/openai_config.yml", text)
    refused(machine.sabir("complete", "hello", cwd=project), wanted)


# ---- models and keys ------------------------------------------------------------------------------------------------

def test_a_missing_key_is_told_with_both_ways_to_give_it(machine, project):
    for arguments in (["complete", "hello"], ["chat", "assistant1", "hello"]):
        refused(machine.sabir(*arguments, cwd=project, env={"SABIR_MODEL": "openai"}), "OPENAI_API_KEY",
                "sabir secrets set openai_api_key")


def test_the_example_value_counts_as_no_key(machine, project):
    shutil.copy(project / "config/secrets.example.json", project / "config/secrets.json")
    (project / "config/secrets.json").chmod(0o600)
    refused(machine.sabir("complete", "hello", cwd=project, env={"SABIR_MODEL": "openai"}), "openai_api_key")


def test_secrets_that_others_can_read_are_refused(machine, project):
    write(project / "config/secrets.json", '{"openai_api_key": "sk-for-tests-2"}').chmod(0o644)
    done = machine.sabir("complete", "hello", cwd=project, env={"SABIR_MODEL": "openai"})
    refused(done, "config/secrets.json", "chmod 600")
    assert "sk-for-tests-2" not in done.text


def test_a_model_that_does_not_answer_is_told_with_its_address(machine, project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    write(project / "config/openai_config.yml",
          "default: m\nmodels:\n  m: {provider: openai, api: chat, model: x, base_url: 'http://127.0.0.1:%d/v1'}\n" % port)
    done = machine.sabir("complete", "hello", cwd=project, timeout=60)
    refused(done, "127.0.0.1:%d" % port)
    assert error_of(machine.sabir("complete", "hello", "--json", cwd=project))["type"] == "model_unreachable"


def test_an_unknown_model_is_answered_with_the_names_there_are(machine, project):
    refused(machine.sabir("complete", "--model", "scriptd", "hello", cwd=project), "scriptd", "scripted")


def test_an_unknown_assistant_is_answered_with_the_nearest_name(machine, project):
    refused(machine.sabir("chat", "assistent1", "hello", cwd=project), "assistent1", "assistant1")


# ---- prompts --------------------------------------------------------------------------------------------------------

def test_an_undefined_variable_is_told_with_file_and_line(machine, project):
    refused(machine.sabir("prompt", "render", "summary", "text=x", cwd=project), "completions/summary.j2:3", "reader")


def test_an_unknown_prompt_is_answered_with_the_nearest_name(machine, project):
    refused(machine.sabir("prompt", "render", "sumary", cwd=project), "sumary", "summary")


def test_a_template_cannot_leave_its_folder(machine, project):
    write(project / "config/secrets.json", '{"a": "the-secret"}')
    write(project / "completions/leak.j2", '{% include "../config/secrets.json" %}\n')
    done = machine.sabir("prompt", "render", "leak", cwd=project)
    assert done.code == 1 and "the-secret" not in done.text, done


# ---- memory ---------------------------------------------------------------------------------------------------------

def test_a_full_disk_is_told_and_nothing_that_was_stored_is_lost(machine, project):
    probe = machine.run("unshare", "-rm", "true")
    if probe.code != 0:
        pytest.skip("this machine allows no namespace of one's own: " + probe.err.strip())
    write(machine.folder / "large.txt", "a" * 100_000)
    done = machine.run("unshare", "-rm", "sh", "-c", """
        mkdir -p .sabir && mount -t tmpfs -o size=900k tmpfs .sabir || exit 77
        "$0" memory put kept '"kept"' || exit 78
        i=0; code=0
        while [ $code = 0 ] && [ $i -lt 20 ]; do
          "$0" memory put large$i - < ../large.txt; code=$?; i=$((i + 1)); done
        "$0" memory get kept || exit 79
        exit $code""", machine.binary, cwd=project)
    if done.code == 77:
        pytest.skip("this machine allows no mount in a namespace of one's own")
    refused(done, "full")
    assert done.out.endswith("kept\n"), done


def test_a_store_of_a_newer_engine_is_refused_and_left_as_it_is(machine, project):
    assert machine.sabir("memory", "put", "a", "1", cwd=project).code == 0
    store = project / ".sabir/development/store.db"
    with sqlite3.connect(store) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    before = store.read_bytes()
    refused(machine.sabir("memory", "get", "a", cwd=project), "newer", "9999", "store.db")
    refused(machine.sabir("memory", "put", "a", "2", cwd=project), "newer")
    assert error_of(machine.sabir("memory", "get", "a", "--json", cwd=project))["type"] == "store_newer"
    assert store.read_bytes() == before
    # What needs no store goes on working.
    assert machine.sabir("call", "slugify", "text=A b", cwd=project).code == 0


def test_a_store_that_is_no_database_is_named(machine, project):
    write(project / ".sabir/development/store.db", "this is not a database, and it is long enough to be looked at\n" * 100)
    refused(machine.sabir("memory", "get", "a", cwd=project), "store.db")


def test_an_absent_key_is_told_apart_from_null(machine, project):
    assert machine.sabir("memory", "put", "nothing", "null", cwd=project).code == 0
    assert machine.sabir("memory", "get", "nothing", cwd=project).code == 0
    refused(machine.sabir("memory", "get", "never stored", cwd=project), "never stored")


# ---- the command line itself ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [["cal"], ["call"], ["new"], ["call", "slugify", "--colour"], ["memory"],
                                       ["sdk", "path", "cobol"], ["engine", "fly"]])
def test_wrong_usage_ends_with_2_and_names_the_help(machine, project, arguments):
    done = machine.sabir(*arguments, cwd=project)
    assert done.code == 2 and done.err.startswith("sabir: ") and done.out == "", done


def test_a_command_that_is_nearly_right_is_suggested(machine, project):
    refused(machine.sabir("functoins", cwd=project), "functions", code=2)


def test_help_and_version_need_no_project(machine):
    done = machine.sabir("--version")
    assert (done.code, done.out) == (0, "sabir %s\n" % (Path(__file__).parents[2] / "VERSION").read_text().strip())
    assert machine.sabir("--help").code == 0
    for command in ("new", "call", "memory", "chat", "test"):
        done = machine.sabir(command, "--help")
        assert done.code == 0 and done.out and not done.err, done


def test_json_errors_stand_alone_on_standard_output(machine, project):
    done = machine.sabir("call", "slugfy", "--json", cwd=project)
    assert set(json.loads(done.out)) == {"error"} and done.code == 1


def test_input_that_is_no_utf8_is_refused(machine, project):
    path = project / "args.json"
    path.write_bytes(b'{"text": "\xff\xfe"}')
    done = machine.sabir("call", "slugify", "--args", "@args.json", cwd=project)
    assert done.code in (1, 2) and done.err, done
    bad = project / "functions/python/latin.py"
    bad.write_bytes(b"def f() -> str:\n    return '\xe9'\n")
    checked = machine.sabir("check", cwd=project)
    assert checked.code == 1 and "functions/python/latin.py" in checked.text, checked
    os.unlink(bad)
