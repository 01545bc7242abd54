"""What the engine reads itself of a language with a describe program is what that program says of it."""
import json
import shutil

from harness import ROOT, write

CASES = json.loads((ROOT / "languages/java/golden/cases.json").read_text())


def listing(machine, project, name, change):
    resources = machine.folder / name
    shutil.copytree(ROOT / "languages/java", resources / "languages/java")
    yml = resources / "languages/java/language.yml"
    yml.write_text("\n".join(filter(None, map(change, yml.read_text().splitlines()))) + "\n")
    shutil.rmtree(project / ".sabir", ignore_errors=True)
    for _ in range(5):
        done = machine.sabir("functions", "--json", cwd=project, env={"SABIR_RESOURCES": str(resources)}, timeout=300)
        if not any(one.get("type") == "timeout" for one in done.json["unavailable"]):
            break
    return done.json


def test_plain_java_is_read_as_the_describe_program_reads_it(machine):
    project = machine.folder / "plain"
    write(project / "sabir.yml", "name: plain\n")
    for index, case in enumerate(CASES):
        folder = project / "functions/java" / ("case_%03d" % index)
        write(folder / case["file"], "\n".join(case["source"]) + "\n")
        for name, lines in case.get("beside", {}).items():
            write(folder / name, "\n".join(lines) + "\n")
    corpus = sorted((ROOT / "fuzz/corpus/plain").glob("*.java"))
    for index, source in enumerate(corpus):
        write(project / "functions/java" / ("corpus_%03d" % index) / "Code.java", source.read_text())
    # A sibling's type hides the JDK's.
    write(project / "functions/java/hidden/Code.java", "public class Code {\n    public static String f(String a) {\n        return a;\n    }\n}\n")
    write(project / "functions/java/hidden/Models.java", "record String(int number) {\n}\n")
    by_program = listing(machine, project, "program", lambda line: None if line.startswith("plain:") else line)
    alone = listing(machine, project, "alone", lambda line: 'describe: [sh, "-c", "exit 3"]' if line.startswith("describe:") else line)
    both = listing(machine, project, "both", lambda line: line)
    assert both == by_program
    told = {one["address"]: one for one in by_program["functions"]}
    assert len(alone["functions"]) >= 8, sorted(one["address"] for one in alone["functions"])
    assert not any(one["file"].startswith("functions/java/hidden/") for one in alone["functions"])
    for one in alone["functions"]:
        # How many share a name decides what a model calls it.
        other = dict(told[one["address"]], tool_name=one["tool_name"])
        assert one == other
