"""sabir test with the real runners: what it reports, how it ends, and the fixtures of the SDKs."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import pytest
from harness import descendants, node, write
from serving import Served

PYTEST_INI = "[pytest]\npythonpath = .\naddopts = --import-mode=importlib -p no:cacheprovider\n"


@pytest.fixture
def small(machine):
    """A project without functions: a run of its tests takes what pytest takes."""
    root = machine.folder / "small"
    write(root / "sabir.yml", "engine: 0.1.0\n")
    write(root / "pytest.ini", PYTEST_INI)
    return root


def cases(done):
    """Of the suites of languages: a new project has an eval as well."""
    return {case["id"].split("::")[-1]: case for suite in done.json["suites"] for case in suite["cases"] if suite["name"] != "evals"}


def held_to_schema(path):
    """What Jenkins' and Surefire's schema of JUnit's XML say of elements, their order, attributes and numbers."""
    attributes = {"testsuites": {"name", "time", "tests", "failures", "errors"},
                  "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"},
                  "testcase": {"classname", "name", "time", "status", "assertions"}, "failure": {"message", "type"}, "error": {"message", "type"},
                  "skipped": {"message", "type"}, "system-out": set(), "properties": set(), "property": {"name", "value"}}
    order = {"testsuites": ["testsuite"], "testsuite": ["properties", "testcase", "system-out"], "testcase": ["skipped", "error", "failure", "system-out"],
             "properties": ["property"]}
    root = ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= attributes[element.tag], (element.tag, element.attrib)
        tags = [child.tag for child in element]
        assert tags == sorted(tags, key=order.get(element.tag, []).index), (element.tag, tags)
    for suite in root:
        found = list(suite.findall("testcase"))
        assert int(suite.get("tests")) == len(found)
        for kind, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(kind)) == sum(case.find(name) is not None for case in found), kind
        assert all(float(case.get("time")) >= 0 and case.get("name") and case.get("classname") for case in found)
    return root


def test_suites_run_side_by_side_with_one_report_one_junit_file_and_one_exit_code(machine, small):
    write(small / "tests/test_a.py", "import pytest\n\ndef test_fine():\n    pass\n\ndef test_wrong():\n    assert 1 + 1 == 3, 'so & <so>'\n\n"
                                     "@pytest.mark.skip(reason='later')\ndef test_later():\n    pass\n")
    write(small / "spec/b_spec.rb", "RSpec.describe 'b' do\n  it('is fine') { expect(1).to eq(1) }\n  it('is wrong') { expect(1).to eq(2) }\nend\n")
    done = machine.sabir("test", "--junit", "out.xml", cwd=small)
    assert done.code == 1, done
    assert "tests/test_a.py:7: tests/test_a.py::test_wrong" in done.out and "so & <so>" in done.out, done
    assert "spec/b_spec.rb:3: b is wrong" in done.out and "expected: 2" in done.out, done
    assert re.search(r"^2 passed, 2 failed, 1 skipped in [\d.]+ s$", done.out, re.M), done
    root = held_to_schema(small / "out.xml")
    assert {suite.get("name") for suite in root} == {"pytest", "rspec"}
    failure = root.find(".//testcase[@name='tests/test_a.py::test_wrong']/failure")
    assert "so & <so>" in failure.get("message") and failure.text.startswith("tests/test_a.py:7\n"), failure.text
    # One test alone, a file, a folder.
    done = machine.sabir("test", "tests/test_a.py::test_fine", "--json", cwd=small)
    assert done.code == 0 and list(cases(done)) == ["test_fine"], done
    done = machine.sabir("test", "spec", "--json", cwd=small)
    assert done.code == 1 and [suite["name"] for suite in done.json["suites"]] == ["rspec"], done
    done = machine.sabir("test", "test_a.py", "--json", cwd=small / "tests")
    assert done.code == 1 and len(cases(done)) == 3, done
    wrong = machine.sabir("test", "spec/b_spec.rb::x", cwd=small)
    assert wrong.code == 2 and "named only for pytest" in wrong.err, wrong
    wrong = machine.sabir("test", "nowhere", cwd=small)
    assert wrong.code == 1 and "no such file or folder" in wrong.err, wrong


def test_junits_xml_is_read_by_a_parser_of_others(machine, small):
    junitparser = pytest.importorskip("junitparser")
    write(small / "tests/test_a.py", "def test_fine():\n    pass\n\ndef test_wrong():\n    assert '\\x00\\x1b' == 3\n")
    assert machine.sabir("test", "--junit", "out.xml", cwd=small).code == 1
    read = junitparser.JUnitXml.fromfile(str(small / "out.xml"))
    assert sum(suite.tests for suite in read) == 2 and sum(suite.failures for suite in read) == 1


def test_a_test_that_passes_at_the_second_try_is_flaky(machine, small):
    counter = machine.folder / "tries"
    write(small / "tests/test_a.py", "import os\n\ndef test_sometimes():\n    tries = int(open(%r).read()) if os.path.exists(%r) else 0\n"
                                     "    open(%r, 'w').write(str(tries + 1))\n    assert tries %% 2 == 1\n\ndef test_always():\n    pass\n" % ((str(counter),) * 3))
    done = machine.sabir("test", "--retries", "2", "--json", "--junit", "out.xml", cwd=small)
    assert done.code == 0 and done.json["flaky"] == ["tests/test_a.py::test_sometimes: passed at attempt 2"], done
    assert cases(done)["test_sometimes"]["attempts"] == 2 and counter.read_text() == "2", done
    assert "flaky" in held_to_schema(small / "out.xml").find(".//system-out").text
    # Another outcome although nothing has changed: named so, without any retry.
    done = machine.sabir("test", cwd=small)
    assert done.code == 1 and "test_sometimes: had another outcome the last time" in done.out, done
    write(small / "tests/test_a.py", "def test_sometimes():\n    pass\n")
    done = machine.sabir("test", "--json", cwd=small)
    assert done.code == 0 and done.json["flaky"] == [], done


def test_a_suite_that_collects_nothing_fails_and_one_over_its_time_is_ended(machine, small):
    write(small / "tests/test_a.py", "def check():\n    pass\n")
    done = machine.sabir("test", cwd=small)
    assert done.code == 1 and "1 test file, but no test was collected" in done.out, done
    write(small / "tests/test_a.py", "import subprocess, time\n\ndef test_long():\n    subprocess.Popen(['sleep', '77.5'])\n    time.sleep(100)\n")
    done = machine.sabir("test", "--timeout", "3", cwd=small)
    assert done.code == 1 and done.seconds < 30 and "not finished after 3 s; its processes were ended" in done.out, done
    left = subprocess.run(["pgrep", "-f", "sleep 77.5"], stdout=subprocess.PIPE, text=True).stdout
    assert left == "", left


def test_an_interrupt_ends_all_and_what_is_known_is_written(machine, small):
    write(small / "tests/test_a.py", "import time\n\ndef test_quick():\n    pass\n\ndef test_long():\n    open('begun', 'w').close()\n    time.sleep(100)\n")
    process = machine.start(machine.binary, "test", "--junit", "out.xml", cwd=small)
    for _ in range(600):
        if (small / "begun").exists():
            break
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 1
    assert "interrupted" in process.stdout.read()
    assert descendants(process.pid) == []
    root = held_to_schema(small / "out.xml")
    assert root.find(".//testcase[@name='tests/test_a.py::test_quick']") is not None
    assert root.find(".//error").get("message") == "stopped"


def test_many_files_of_pytest_are_split_and_reported_as_one_suite(machine, small):
    for i in range(42):
        write(small / ("tests/test_%d.py" % i), "import os\n\ndef test_it():\n    open('pid-%d' % os.getpid(), 'w').close()\n")
    done = machine.sabir("test", "--jobs", "2", "--json", cwd=small)
    assert done.code == 0 and len(done.json["suites"]) == 1 and done.json["passed"] == 42, done
    assert len(list(small.glob("pid-*"))) == 2
    shown = machine.sabir("test", "--jobs", "2", cwd=small)
    assert "42 passed in" in shown.out and shown.code == 0, shown


FIXTURES = '''import pytest
import sabir as sdk


def test_store_is_empty_and_kept_within_a_test(memory, engine):
    assert memory.get("colour") is None
    memory.put("colour", "blue")
    assert engine("memory", "get", "colour")["value"] == "blue"


def test_store_is_thrown_away(sabir):
    assert sabir.memory.get("colour") is None


def test_models_are_scripted(sabir, models):
    models.reply("I am here.", contains="are you there")
    models.reply("Once.")
    assert str(sabir.complete("Are you there?")) == "I am here."
    assert str(sabir.complete("Anything")) == "Once."


def test_no_model_that_costs_is_asked(sabir):
    with pytest.raises(sdk.Error) as failed:
        sabir.complete("Hello", model="openai")
    assert failed.value.type == "recording_missing" and "--record" in str(failed.value) + str(failed.value.hint)


def test_secrets_are_placeholders(engine, secrets):
    assert engine("call", "keys.own") == "placeholder"
    secrets.set("openai_api_key", "given by the test")
    assert engine("call", "keys.own") == "given"


def test_a_recording_is_insisted_on(recording):
    with pytest.raises(sdk.Error) as failed:
        sdk.complete("Never recorded")
    assert failed.value.type == "recording_missing"
'''
KEYS = '''import sabir


def own() -> str:
    """Whether a key is there.

    Secrets: openai_api_key
    """
    known = {"test-value-of-openai_api_key": "placeholder", "given by the test": "given"}
    return known.get(sabir.secret("openai_api_key"), "a developer's own")
'''


def own_tests(project, *kept):
    """Leaves the project nothing but these tests."""
    for path in [*project.glob("*/*/tests"), project / "completions/tests", project / "tests/integration", *project.glob("tests/test_*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path, text in kept:
        write(project / path, text)


def test_pythons_fixtures_are_there_for_plain_pytest_too(machine, project):
    own_tests(project, ("tests/test_fixtures.py", FIXTURES), ("functions/python/keys.py", KEYS))
    env = {"OPENAI_API_KEY": "a-developers-own-key"}
    done = machine.sabir("test", "--json", cwd=project, env=env, timeout=180)
    assert {case["outcome"] for case in cases(done).values()} == {"passed"} and len(cases(done)) == 6, done
    # A question without a recording fails the run, whatever the test makes of it.
    assert done.code == 1 and done.json["recordings"]["missing"] == 1, done
    bare = machine.run(sys.executable, "-m", "pytest", "-q", "tests", cwd=project, env=env, timeout=180)
    assert bare.code == 0 and "6 passed" in bare.out, bare
    assert not (project / ".sabir/test/memory.db").exists(), list((project / ".sabir/test").glob("*"))


RUBY_FIXTURES = '''require "sabir"

RSpec.describe "fixtures" do
  it "have a store of their own" do
    expect(memory.get("colour")).to be_nil
    memory.put("colour", "blue")
    expect(engine.run("memory", "get", "colour")["value"]).to eq("blue")
  end

  it "throw it away" do
    expect(sabir.memory.get("colour")).to be_nil
  end

  it "script models" do
    models.reply("I am here.", contains: "are you there")
    expect(sabir.complete("Are you there?").to_s).to eq("I am here.")
  end

  it "ask no model that costs" do
    expect { sabir.complete("Hello", model: "openai") }.to raise_error(Sabir::Error, /--record|tests ask no model/)
  end

  it "insist on a recording" do
    recording
    expect { sabir.complete("Never recorded") }.to raise_error(Sabir::Error) { |e| expect(e.type).to eq("recording_missing") }
  end
end
'''


def test_rubys_helpers_are_the_same(machine, project):
    own_tests(project, ("functions/ruby/tests/test_fixtures.rb", RUBY_FIXTURES))
    done = machine.sabir("test", "--json", cwd=project, timeout=180)
    assert {case["outcome"] for case in cases(done).values()} == {"passed"} and len(cases(done)) == 5, done
    bare = machine.run("rspec", cwd=project, timeout=180)
    assert bare.code == 0 and "5 examples, 0 failures" in bare.out, bare


NODE_FIXTURES = '''import assert from "node:assert/strict";
import {test} from "node:test";
import {fixtures} from "sabir/testing";

test("a store of its own", async (t) => {
  const {memory, engine} = await fixtures(t);
  assert.equal(await memory.get("colour"), null);
  await memory.put("colour", "blue");
  assert.equal((await engine.run("memory", "get", "colour")).value, "blue");
});

test("thrown away, with scripted models", async (t) => {
  const {sabir, memory, models} = await fixtures(t);
  assert.equal(await memory.get("colour"), null);
  await models.reply("I am here.", {contains: "are you there"});
  assert.equal(String(await sabir.complete("Are you there?")), "I am here.");
});

test("no model that costs", async (t) => {
  const {sabir} = await fixtures(t);
  await assert.rejects(sabir.complete("Hello", {model: "openai"}), /tests ask no model/);
});
'''


def test_nodes_fixtures_are_the_same(machine, made_projects):
    machine.use_node()
    project = machine.folder / "shop"
    shutil.copytree(made_projects("node"), project, symlinks=True)
    own_tests(project, ("functions/node/tests/test_fixtures.ts", NODE_FIXTURES))
    done = machine.sabir("test", "--json", cwd=project, timeout=180)
    assert done.code == 0 and [case["outcome"] for case in cases(done).values()] == ["passed"] * 3, done


DEPLOYED = {
    "python": ("tests/test_deployed.py", "def test_it_answers(deployed):\n    assert deployed.call('there.pid') == int(open('pid').read())\n"),
    "ruby": ("functions/ruby/tests/test_deployed.rb", 'require "sabir"\n\nRSpec.describe "what is deployed" do\n  it("answers") { expect(deployed.call("there.pid")).to eq(File.read("pid").to_i) }\nend\n'),
    "node": ("functions/node/tests/test_deployed.ts", 'import assert from "node:assert/strict";\nimport {readFileSync} from "node:fs";\nimport {test} from "node:test";\nimport {fixtures} from "sabir/testing";\n\n'
             'test("it answers", async (t) => {\n  const {deployed} = await fixtures(t);\n  const there = await deployed();\n'
             '  if (there) assert.equal(await there.call("there.pid"), Number(readFileSync("pid", "utf8")));\n});\n'),
}


@pytest.mark.parametrize("language", DEPLOYED)
def test_the_fixture_deployed_asks_what_was_deployed_and_is_skipped_where_nothing_was(machine, made_projects, language):
    if language == "node":
        machine.use_node()
    project = machine.folder / "shop"
    shutil.copytree(made_projects("node,python" if language == "node" else "python,ruby"), project, symlinks=True)
    own_tests(project, DEPLOYED[language])
    write(project / "functions/python/there.py", 'import os\n\n\ndef pid() -> int:\n    """The engine that answers.\n\n    Effect: read\n    """\n    return os.getppid()\n')
    done = machine.sabir("test", "--json", cwd=project, timeout=180)
    assert done.code == 0 and [case["outcome"] for case in cases(done).values()] == ["skipped"], done
    served = Served(machine, project)
    try:
        write(project / "pid", str(served.ready["pid"]))
        # The developer's own SABIR_ENGINE is no reason to touch it.
        done = machine.sabir("test", "--json", cwd=project, env={"SABIR_URL": served.address, "SABIR_ENGINE": "http://127.0.0.1:1"}, timeout=180)
        assert done.code == 0 and [case["outcome"] for case in cases(done).values()] == ["passed"], done
    finally:
        served.stop()


def test_record_and_replay_need_no_place(machine, project):
    own_tests(project, ("tests/test_a.py", "def test_it():\n    pass\n"))
    done = machine.sabir("test", "--record", "tests/test_a.py", "--json", cwd=project)
    assert done.code == 0 and list(cases(done)) == ["test_it"], done
    none = machine.sabir("test", "--replay", cwd=project)
    assert none.code == 1 and "there is no recording tests/recordings" in none.err, none


GO = {"go.mod": "module example.com/shop\n\ngo 1.19\n", "inner/a.go": "package inner\n\nfunc Two() int { return 2 }\n",
      "inner/a_test.go": 'package inner\n\nimport "testing"\n\nfunc TestTwo(t *testing.T) {\n\tif Two() != 3 {\n\t\tt.Errorf("two is %d", Two())\n\t}\n}\n'}
RUST = {"Cargo.toml": '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n', "src/lib.rs": "pub fn two() -> i32 { 2 }\n",
        "tests/two.rs": "#[test]\nfn two() {\n    assert_eq!(shop::two(), 3, \"not three\");\n}\n"}


@pytest.mark.parametrize("name, files, place, said", [("go", GO, "lib/inner/a_test.go", "two is 2"), ("rust", RUST, "lib/tests/two.rs", "not three")])
def test_a_languages_own_projects_are_tested_by_its_own_tool(machine, small, name, files, place, said):
    if name == "rust" and os.environ.get("CI") != "true":
        pytest.skip("cargo compiles for a while: CI=true")
    for path, text in files.items():
        write(small / "lib" / path, text)
    done = machine.sabir("test", "--json", cwd=small, timeout=240)
    assert done.code == 1 and done.json["failed"] == 1, done
    failed = [case for case in done.json["suites"][0]["cases"] if case["outcome"] == "failed"][0]
    assert failed["file"] == place and failed["line"] in (3, 7) and said in failed["text"], failed


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="npm and Maven load packages: CI=true")
def test_vitest_runs_what_is_not_written_for_nodes_runner(machine, made_projects):
    machine.use_node()
    project = machine.folder / "shop"
    shutil.copytree(made_projects("node"), project, symlinks=True)
    own_tests(project, ("functions/node/tests/test_own.ts", 'import assert from "node:assert";\nimport {test} from "node:test";\ntest("own", () => assert.ok(true));\n'),
              ("functions/node/tests/sums.test.ts", 'import {expect, test} from "vitest";\nimport {total} from "../invoices.ts";\n\ntest("adds", () => {\n'
                                                    '  expect(total([{name: "a", price: 1}], 0).net).toBe(1);\n});\n\ntest("fails", () => {\n  expect(1).toBe(2);\n});\n'))
    write(project / "package.json", json.dumps({"private": True, "type": "module", "devDependencies": {"vitest": "3.2.4"}}))
    npm = machine.run("npm", "install", "--no-audit", "--no-fund", cwd=project, env={"HOME": os.path.expanduser("~")}, timeout=300)
    assert npm.code == 0, npm
    done = machine.sabir("test", "--json", cwd=project, timeout=240)
    outcomes = {case["id"].split(" > ")[-1].split(".")[-1]: case for suite in done.json["suites"] for case in suite["cases"]}
    assert done.code == 1 and [case["outcome"] for case in cases(done).values()].count("passed") == 2 and done.json["failed"] == 1, done
    failed = [case for case in outcomes.values() if case["outcome"] == "failed"][0]
    assert failed["file"] == "functions/node/tests/sums.test.ts" and failed["line"] == 9, failed


POM = '''<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>shop</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>org.junit.jupiter</groupId><artifactId>junit-jupiter</artifactId><version>5.10.2</version><scope>test</scope></dependency></dependencies>
<build><plugins><plugin><artifactId>maven-surefire-plugin</artifactId><version>3.2.5</version></plugin></plugins></build></project>
'''


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="npm and Maven load packages: CI=true")
def test_maven_runs_its_own_projects_tests(machine, small):
    write(small / "lib/pom.xml", POM)
    write(small / "lib/src/main/java/shop/Two.java", "package shop;\n\npublic class Two { public static int two() { return 2; } }\n")
    write(small / "lib/src/test/java/shop/TwoTest.java", "package shop;\n\nimport static org.junit.jupiter.api.Assertions.assertEquals;\nimport org.junit.jupiter.api.Test;\n\nclass TwoTest {\n"
                                                         "  @Test void two() { assertEquals(2, Two.two()); }\n  @Test void three() {\n    assertEquals(3, Two.two());\n  }\n}\n")
    done = machine.sabir("test", "--json", cwd=small, env={"HOME": os.path.expanduser("~")}, timeout=300)
    assert done.code == 1 and done.json["passed"] == 1 and done.json["failed"] == 1, done
    failed = [case for suite in done.json["suites"] for case in suite["cases"] if case["outcome"] == "failed"][0]
    assert failed["file"] == "lib/src/test/java/shop/TwoTest.java" and failed["line"] == 9 and "expected: <3>" in failed["message"], failed


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="every compiler at once: CI=true")
def test_a_new_project_in_every_language_passes_and_is_then_unchanged(machine, made_projects):
    machine.use_node()
    machine.use_rust()
    project = machine.folder / "shop"
    shutil.copytree(made_projects("python,ruby,cpp,node,go,php,java,rust,shell"), project, symlinks=True)
    done = machine.sabir("test", "--json", "--junit", "out.xml", cwd=project, timeout=600)
    assert done.code == 0 and done.json["failed"] == 0, done
    assert {suite["name"] for suite in done.json["suites"]} == {"pytest", "rspec", "c++", "node", "go test", "phpunit", "junit", "cargo test", "bats", "evals"}, done
    held_to_schema(project / "out.xml")
    again = machine.sabir("test", "--affected", "--json", cwd=project, timeout=120)
    assert again.code == 0 and again.json["suites"] == [] and again.json["unchanged"] > 20, again
