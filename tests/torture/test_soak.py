"""A quarter of a minute of bench/soak.py: its load is answered as it should be and costs no descriptors. Whether memory stays
within its bound shows after longer: script/bench soak."""
import json
import sys

from harness import ROOT


def test_a_mixed_load_is_answered_and_costs_no_descriptors(machine):
    done = machine.run(sys.executable, ROOT / "bench/soak.py", "--json", "--minutes", 0.25, "--languages", "python,ruby", timeout=200,
                       env={"SABIR_BIN": str(machine.binary)})
    rows = {row["measure"]: row for row in map(json.loads, done.out.splitlines())}
    assert rows["soak: calls that did not end as they should"]["value"] == 0, done
    assert rows["soak: calls that did not end as they should"]["reference"] > 100
    for who in ("engine", "python worker", "ruby worker"):
        assert rows["soak: %s, descriptors gained" % who]["value"] <= 0, done
        assert "soak: %s, memory gained" % who in rows
