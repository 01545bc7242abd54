"""sabir add: what it writes works as it stands, in every language that has templates."""
import pytest
from harness import ROOT, write

LANGUAGES = sorted(path.parent.name for path in ROOT.glob("languages/*/templates") if any(path.iterdir()))


def test_languages_without_templates_are_known():
    assert {path.parent.name for path in ROOT.glob("languages/*/language.yml")} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_added_is_listed_and_its_tests_pass(machine, made_projects, language):
    if language == "node":
        machine.use_node()
    if language == "rust":
        machine.use_rust()
    project = machine.folder / "shop"
    made = machine.sabir("new", project, "--languages", language)
    assert made.code == 0, made
    prompt = machine.sabir("add", "prompt", "where_about", "--json", cwd=project)
    has_test = language in ("python", "ruby")
    assert prompt.code == 0 and len(prompt.json["files"]) == (3 if has_test else 1), prompt
    assert machine.sabir("prompt", "render", "where_about", "question=x", cwd=project).code == 0
    written = prompt.json["files"]
    for kind, name in (("function", "order_total"), ("assistant", "concierge"), ("memory", "wishes")):
        done = machine.sabir("add", kind, name, "--language", language, "--json", cwd=project)
        assert done.code == 0 and done.json["language"] == language, done
        assert len(done.json["files"]) >= 2, done
        written += done.json["files"]
    assert all((project / path).is_file() for path in written), written
    listed = machine.sabir("functions", "--json", cwd=project)
    assert listed.code == 0, listed
    addresses = [one["address"] for one in listed.json["functions"]]
    assert any("order_total." in address for address in addresses), listed
    report = project / "report.xml"
    tested = machine.sabir("test", "--junit", report, cwd=project, timeout=900)
    assert tested.code == 0, tested
    text = report.read_text()
    for name in ("order_total", "concierge", "wishes") + ("where_about",) * has_test:
        pascal = "".join(part.capitalize() for part in name.split("_"))
        assert name in text or pascal in text, (name, text)


def test_nothing_is_overwritten_and_nothing_half_written(machine, project):
    first = machine.sabir("add", "function", "order_total", "-l", "ruby", cwd=project)
    assert first.code == 0, first
    wrote = [line.split(None, 1)[1] for line in first.out.splitlines() if line.startswith("wrote")]
    assert len(wrote) == 2, first
    (project / wrote[0]).unlink()
    kept = write(project / wrote[1], "# mine\n")
    again = machine.sabir("add", "function", "order_total", "-l", "ruby", cwd=project)
    assert again.code == 1 and "is there already" in again.err, again
    assert kept.read_text() == "# mine\n" and not (project / wrote[0]).exists()


def test_wrong_usage_is_explained(machine, project):
    kind = machine.sabir("add", "widget", "x", cwd=project)
    assert kind.code == 2 and "function, assistant, memory or prompt" in kind.err, kind
    name = machine.sabir("add", "function", "../../etc/passwd", cwd=project)
    assert name.code == 2 and "order_total" in name.err, name
    language = machine.sabir("add", "function", "x", "-l", "pyton", cwd=project)
    assert language.code == 2 and "python" in language.err, language
    outside = machine.sabir("add", "function", "x", cwd=machine.folder)
    assert outside.code == 1 and "sabir new" in outside.err, outside
