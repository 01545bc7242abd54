"""Go's golden cases against an independent package, invopop/jsonschema (tests/oracles/go)."""
import json
import os
import re
import shutil
import subprocess

import pytest
from harness import ROOT, write
from languages.oracles import asked_and_judged, differences

CASES = [case for case in json.loads((ROOT / "languages/go/golden/cases.json").read_text(encoding="utf-8")) if case.get("functions")]
MODULES = ROOT / "build/oracles/go/modules"
# invopop/jsonschema knows no ranges of integers, and writes a pointer as what it points to.
LOOSE = {"drop": {"minimum", "maximum"}, "nullable": True}


def group_of(_item):
    """The oracle is asked once for all cases (conftest.py)."""
    return "oracle-go"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    assert MODULES.is_dir(), "script/setup installs the oracle's modules"
    module = tmp_path_factory.mktemp("oracle") / "module"
    module.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copy(ROOT / "tests/oracles/go" / name, module / name)
    with open(module / "go.mod", "a", encoding="utf-8") as file:
        file.write("\nrequire sabir v0.0.0\n\nreplace sabir => %s\n" % (ROOT / "languages/go/sdk/sabir"))
    cases = []
    for index, case in enumerate(CASES):
        folder = module / "cases" / ("case_%03d" % index)
        write(folder / case["file"], "\n".join(case["source"]) + "\n")
        for name, lines in case.get("beside", {}).items():
            write(folder / name, "\n".join(lines) + "\n")
        cases.append({"id": case["name"], "folder": str(folder)})
    # The modules lie in build/; nothing is downloaded, so that a missing one is an error.
    env = dict(os.environ, GOMODCACHE=str(MODULES), GOCACHE=str(ROOT / "build/go-cache"), GOFLAGS="-mod=mod", GOPROXY="off", GOSUMDB="off",
               GOWORK="off")
    done = subprocess.run(["go", "run", "."], input=json.dumps({"module": str(module), "cases": cases}), stdout=subprocess.PIPE, text=True,
                          timeout=300, env=env, cwd=ROOT / "tests/oracles/go")
    assert done.returncode == 0
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", [pytest.param(case, id=re.sub(r"\W+", "_", case["name"])) for case in CASES])
def test_the_oracle_says_the_same(told, case):
    asked_and_judged(case, differences(case, told[case["name"]], LOOSE))


def test_most_cases_are_compared():
    compared = [case for case in CASES if case.get("oracle", True)]
    assert len(compared) >= 0.6 * len(CASES), "%d of %d" % (len(compared), len(CASES))
