"""Every language's worker against every rule of the protocol and every row of its value table (conformance/README.md).

docs/conformance.md is the matrix of the outcomes; script/conformance-matrix writes it.
"""
import json
import sys
from pathlib import Path

import pytest
from harness import ROOT, Machine

LANGUAGES = sorted(path.parent.name for path in ROOT.glob("languages/*/language.yml"))
PAGE = ROOT / "docs" / "conformance.md"
SIGNS = {"pass": "✓", "not_applicable": "–", "expected_failure": "listed", "fail": "✗", "unexpected_pass": "✗"}


def report_of(machine, language):
    if language == "node":
        machine.use_node()
    if language == "rust":
        machine.use_rust()
    done = machine.sabir("conformance", "--language", language, "--json", timeout=600)
    report = json.loads(done.out)
    return report["languages"][0] if "languages" in report else report


def row(check, outcomes):
    return "| %s | %s | %s |" % (check["id"], check["title"], " | ".join(SIGNS[outcome] for outcome in outcomes))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_worker_keeps_every_rule(machine, language):
    report = report_of(machine, language)
    checks = report["checks"]
    wrong = [check for check in checks if check["outcome"] not in ("pass", "not_applicable")]
    assert not wrong and len(checks) >= 60, wrong
    page = {cells[1]: cells for cells in ([cell.strip() for cell in line.split("|")] for line in PAGE.read_text().splitlines()) if len(cells) > 3}
    column = page["check"].index(language)
    told = {check["id"]: page.get(check["id"], [""] * (column + 1))[column] for check in checks}
    assert told == {check["id"]: SIGNS[check["outcome"]] for check in checks}, "script/conformance-matrix writes docs/conformance.md anew"


def main(binary):
    """Writes the page."""
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        reports = {}
        for language in LANGUAGES:
            machine = Machine(folder / language, Path(binary).resolve(), folder / "cache")
            reports[language] = {check["id"]: check for check in report_of(machine, language)["checks"]}
    checks = list(reports[LANGUAGES[0]].values())
    counts = {language: [check["outcome"] for check in reports[language].values()] for language in LANGUAGES}
    lines = ["# Conformance", "",
             "What `sabir conformance` finds of the workers that the engine carries: %d checks of the rules of" % len(checks),
             "[the worker protocol](../spec/worker-protocol.md) and of its value table. ✓ kept, – not applicable, since the language",
             "has no such thing (`sabir conformance --language NAME` says which). Written by `script/conformance-matrix`.", "",
             "| check | what | %s |" % " | ".join(LANGUAGES), "|---|---|%s" % ("---|" * len(LANGUAGES)),
             "| | kept | %s |" % " | ".join(str(counts[language].count("pass")) for language in LANGUAGES),
             "| | failed | %s |" % " | ".join(str(sum(outcome not in ("pass", "not_applicable") for outcome in counts[language])) for language in LANGUAGES)]
    lines += [row(check, [reports[language][check["id"]]["outcome"] for language in LANGUAGES]) for check in checks]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
