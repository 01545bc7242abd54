"""A hundred rounds of worker_torture.py over what starts at once; by hand it does a thousand over all languages."""
import json
import sys
from pathlib import Path


def test_every_call_has_its_outcome_while_workers_are_killed_and_stopped(machine):
    script = Path(__file__).with_name("worker_torture.py")
    # Other tests run beside it.
    done = machine.run(sys.executable, script, "--rounds", 100, "--languages", "python,ruby,node", "--soon", 1000, timeout=240)
    assert done.code == 0, done
    report = json.loads(done.out)
    assert report["problems"] == [] and report["kills"] > 50 and report["stops"] > 3
    assert all(counts["ok"] > 30 for counts in report["outcomes"].values()), report
