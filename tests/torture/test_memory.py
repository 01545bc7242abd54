"""A few seconds of memory_torture.py; by hand it runs for a minute or longer."""
import json
import sys
from pathlib import Path

SECONDS = 5


def test_no_acknowledged_write_is_lost_when_engines_are_killed(machine, binary):
    script = Path(__file__).with_name("memory_torture.py")
    done = machine.run(sys.executable, script, "--seconds", SECONDS, "--binary", binary, "--json", timeout=180)
    assert done.code == 0, done
    figures = json.loads(done.out)
    assert figures["integrity_check"] == "ok"
    assert figures["lost_items"] == figures["lost_messages"] == 0
    assert figures["engine_kills"] > 0 and figures["acknowledged_items"] > 0
