"""`sabir functions` with no engine running: what was told before is told again, and never once it is no longer true."""
import os
import shutil
import time

import pytest
from harness import ROOT, write

A = 'def number() -> int:\n    """A number.\n\n    Effect: read\n    """\n    return %s\n'


def listed(machine, project, *options, **more):
    done = machine.sabir("functions", "--json", *options, cwd=project, **more)
    assert done.code == 0, done
    return done


def addresses(machine, project, *options, **more):
    return {one["address"] for one in listed(machine, project, *options, **more).json["functions"]}


def kept(project, environment="development"):
    return project / ".sabir/described" / (environment + ".listing")


def keep(machine, project):
    """Lists until the listing is kept: what was just written is not trusted at first."""
    for _ in range(50):
        out = listed(machine, project).out
        if kept(project).exists():
            return out
        time.sleep(0.1)
    raise AssertionError("the listing is not kept")


def test_a_kept_listing_is_what_an_engine_says(machine, project):
    first = keep(machine, project)
    assert listed(machine, project).out == first
    as_text = machine.sabir("functions", cwd=project)
    kept(project).unlink()
    assert machine.sabir("functions", cwd=project).text == as_text.text
    assert listed(machine, project).out == first


def test_what_is_saved_is_listed_at_once(machine, project):
    source = project / "functions/python/thing.py"
    for step in range(3):
        write(source, A % step)
        assert "thing.number" in addresses(machine, project)
        keep(machine, project)
        write(source, (A % step).replace("number", "nombre"))  # of the same size
        assert "thing.nombre" in addresses(machine, project)
        source.unlink()
        assert not {"thing.nombre", "thing.number"} & addresses(machine, project)
    keep(machine, project)
    write(project / "functions/python/deep/thing.py", A % 1)
    assert "deep.thing.number" in addresses(machine, project)
    keep(machine, project)
    write(project / "functions/python/thing.py", "def broken(:\n")
    done = machine.sabir("functions", cwd=project)
    assert "functions/python/thing.py:1" in done.err, done
    keep(machine, project)
    assert "functions/python/thing.py:1" in machine.sabir("functions", cwd=project).err


def test_edits_faster_than_the_clock_of_the_file_system_are_seen(machine, project):
    source = project / "functions/python/thing.py"
    write(source, A % 0)
    for step in range(20):
        name = "number" if step % 2 else "nombre"
        with open(source, "r+") as file:  # in place, of the same size
            file.write((A % 0).replace("number", name))
        assert "thing." + name in addresses(machine, project), step


def test_sabir_yml_and_the_environment_count(machine, project):
    keep(machine, project)
    write(project / "other/more.py", A % 1)
    with open(project / "sabir.yml", "a") as file:
        file.write("sources:\n  - {path: other, language: python, prefix: '${LISTING_PREFIX:-first}'}\n")
    assert "first.more.number" in addresses(machine, project)
    keep(machine, project)
    assert "second.more.number" in addresses(machine, project, env={"LISTING_PREFIX": "second"})
    assert "first.more.number" in addresses(machine, project)
    keep(machine, project)
    done = machine.sabir("functions", "--env", "no/such", cwd=project)
    assert done.code == 1 and "environment" in done.err, done
    listed(machine, project, "--env", "production")
    write(project / "sabir.yml", "nonsense: 1\n")
    assert machine.sabir("functions", cwd=project).code == 1


def test_a_language_of_the_project_that_changes_is_asked_again(machine, project):
    describe = "import json, sys\njson.load(sys.stdin)\nprint(json.dumps({'files': [{'functions': [{'name': '%s'}]}]}))\n"
    write(project / "languages/calc/language.yml", "name: calc\nextensions: [.calc]\ninterpreters: [python3]\nmissing_hint: none\nworker: worker.py\n"
          'launch: ["{interpreter}"]\ndescribe: ["{interpreter}", "{resources}/describe.py"]\n')
    write(project / "languages/calc/worker.py", "")
    write(project / "languages/calc/describe.py", describe % "one")
    write(project / "functions/calc/a.calc", "x")
    assert "a.one" in addresses(machine, project)
    keep(machine, project)
    write(project / "languages/calc/describe.py", describe % "two")
    assert "a.two" in addresses(machine, project)


def test_a_file_that_types_come_from_counts(machine, project):
    write(project / "shapes.py", "import dataclasses\n\n\n@dataclasses.dataclass\nclass Box:\n    wide: int\n")
    write(project / "functions/python/thing.py", "from shapes import Box\n\n\ndef area(box: Box) -> int:\n    return 1\n")

    def wide():
        function = next(one for one in listed(machine, project).json["functions"] if one["address"] == "thing.area")
        return str(function["input_schema"])

    assert "wide" in wide()
    keep(machine, project)
    write(project / "shapes.py", "import dataclasses\n\n\n@dataclasses.dataclass\nclass Box:\n    tall: int\n")
    assert "tall" in wide() and "wide" not in wide()


@pytest.mark.parametrize("content", [b"", b"sabir-listing 1 0000000000000000\n{}\n{}", b"\xff\x00" * 500, None])
def test_a_kept_file_that_is_broken_is_not_told(machine, project, content):
    first = keep(machine, project)
    text = kept(project).read_bytes()
    kept(project).write_bytes(text[:-40] + b"x" * 40 if content is None else content)
    assert listed(machine, project).out == first


def test_a_running_engine_answers_itself(machine, project):
    keep(machine, project)
    machine.start_engine(project)
    write(project / "functions/python/thing.py", A % 1)
    end = time.monotonic() + 60
    while "thing.number" not in addresses(machine, project):
        assert time.monotonic() < end


def test_warnings_are_told_again(machine, project):
    write(project / "functions/lost.py", A % 1)
    keep(machine, project)
    for _ in range(2):
        assert "functions/lost.py" in listed(machine, project).err


def test_where_nothing_can_be_kept_functions_are_listed_all_the_same(machine, project):
    shutil.rmtree(project / ".sabir", ignore_errors=True)
    write(project / ".sabir", "a file")
    assert addresses(machine, project)
    os.unlink(project / ".sabir")
    assert addresses(machine, project)


def test_plain_java_files_need_no_java(machine, project):
    """The describe program is not asked about them; about others it is."""
    resources = machine.folder / "without"
    shutil.copytree(ROOT / "languages", resources / "languages", ignore=shutil.ignore_patterns("node_modules"))
    yml = resources / "languages/java/language.yml"
    write(yml, "\n".join('describe: [sh, "-c", "exit 3"]' if line.startswith("describe:") else line for line in yml.read_text().splitlines()) + "\n")
    write(project / "functions/java/Plain.java", "public class Plain {\n    /** Adds. */\n    public static int add(int a, int b) {\n        return a + b;\n    }\n}\n")
    write(project / "functions/java/Other.java", "public class Other {\n    public static int count(int... all) {\n        return all.length;\n    }\n}\n")
    done = machine.sabir("functions", "--json", cwd=project, env={"SABIR_RESOURCES": str(resources)})
    assert [one["address"] for one in done.json["functions"] if one["language"] == "java"] == ["plain.add"], done
    assert [one["file"] for one in done.json["unavailable"]] == ["functions/java/Other.java"], done
    assert not kept(project).exists()
