"""TypeScript's golden cases against an independent program, npm's ts-json-schema-generator (tests/oracles/node)."""
import json
import re
import subprocess

import pytest
from harness import ROOT, node, write
from languages.oracles import asked_and_judged, differences

CASES = [case for case in json.loads((ROOT / "languages/node/golden/typescript.json").read_text(encoding="utf-8")) if case.get("functions")]
PACKAGES = ROOT / "build/oracles/node"


def group_of(_item):
    """The oracle is asked once for all cases (conftest.py)."""
    return "oracle-node"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    assert (PACKAGES / "node_modules").is_dir(), "script/setup installs the oracle's packages"
    folder = tmp_path_factory.mktemp("oracle")
    asked = []
    for index, case in enumerate(CASES):
        own = folder / ("case_%03d" % index)
        write(own / case["file"], "\n".join(case["source"]) + "\n")
        for name, lines in case.get("beside", {}).items():
            write(own / name, "\n".join(lines) + "\n")
        asked.append({"id": case["name"], "folder": str(own), "file": case["file"]})
    done = subprocess.run([node(), ROOT / "tests/oracles/node/oracle.mjs", PACKAGES], input=json.dumps(asked), stdout=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", [pytest.param(case, id=re.sub(r"\W+", "_", case["name"])) for case in CASES])
def test_the_oracle_says_the_same(told, case):
    asked_and_judged(case, differences(case, told[case["name"]]))


def test_most_cases_are_compared():
    compared = [case for case in CASES if case.get("oracle", True)]
    assert len(compared) >= 0.6 * len(CASES), "%d of %d" % (len(compared), len(CASES))
