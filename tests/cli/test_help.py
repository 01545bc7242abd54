"""The help, the command reference and the commands are one list."""
import re
from pathlib import Path

import pytest

REFERENCE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(machine):
    """The command words that `sabir --help` shows."""
    page = machine.sabir("--help").out
    return sorted(set(re.findall(r"^  ([a-z]+) ", page, re.MULTILINE)))


def test_every_command_of_the_help_is_in_the_reference_and_has_help_of_its_own(machine):
    found = commands(machine)
    assert {"new", "setup", "doctor", "functions", "call", "prompt", "chat", "memory", "check", "test"} <= set(found)
    for command in found:
        assert "`sabir " + command in REFERENCE, command
        done = machine.sabir(command, "--help")
        assert done.code == 0 and len(done.out.splitlines()) > 3, done


def test_every_command_of_the_reference_exists(machine):
    for command in sorted(set(re.findall(r"\*\*`sabir ([a-z]+)", REFERENCE))):
        assert machine.sabir(command, "--help").code == 0, command


@pytest.mark.parametrize("option", ["--json", "--project", "--env", "--user", "--tenant"])
def test_the_options_of_most_commands_are_what_the_reference_says(machine, option):
    assert option in REFERENCE
    for command in ("call", "functions", "check"):
        assert option in machine.sabir(command, "--help").out, (command, option)


def test_the_binary_starts_without_large_libraries(machine):
    # How long it takes is measured by script/bench; what makes it long is to load these before anything is asked of them.
    needed = machine.run("ldd", machine.binary).out
    assert "libc.so" in needed, needed
    assert not re.findall(r"lib(?:curl|ssl|crypto|pq|sqlite|yaml)\S*", needed), needed
