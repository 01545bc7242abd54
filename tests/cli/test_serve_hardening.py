"""Clients of every hostile kind at once, against the whole binary: others are served, nothing is lost, memory stays bounded."""
import time

import pytest
from harness import SANITIZED
from hostile_clients import Guest, Hostile
from serving import Served, machine_of, write_project


def group_of(item):
    return "serve_hardening"


@pytest.fixture(scope="module")
def machine(binary, cache):
    with machine_of(binary, cache) as made:
        yield made


def resident_mb(pid):
    with open("/proc/%d/statm" % pid) as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def test_others_are_served_while_hostile_clients_are_at_it(machine):
    project = write_project(machine.folder / "hard", languages="python, cpp", config="expose: {rest: [numbers.*, notes.*]}\n")
    server = Served(machine, project, "--no-access-log")
    path = "/functions/numbers.add"
    try:
        quiet = Guest(server.port, path).visit(2)
        before = resident_mb(server.process.pid)
        hostile = Hostile(server.port, path, "/functions/notes.count?stream=1").start()
        guest = Guest(server.port, path).visit(8)
        stuck = hostile.stop()
        assert not stuck and hostile.broken == [], (stuck, hostile.broken)
        assert len(hostile.rounds) == len(hostile.threads), hostile.rounds
        assert quiet.failed == [] and guest.failed == []
        # A generous bound: the figure is bench/hostile.py's, where the attackers do not share the guest's interpreter.
        assert guest.percentile(0.99) <= max(20 * quiet.percentile(0.99), 0.5), (quiet.percentile(0.99), guest.percentile(0.99))
        assert resident_mb(server.process.pid) - before < (600 if SANITIZED else 150)
        until = time.monotonic() + 40
        while "\nsabir_http_requests_running 0\n" not in server.ask("GET", "/metrics").body.replace("running 1\n", "running 0\n"):
            assert time.monotonic() < until, server.ask("GET", "/metrics").body
            time.sleep(0.5)
        assert server.process.poll() is None and server.call("numbers.add", {"a": 1, "b": 2}).json == 3
    finally:
        assert server.stop() == 0
