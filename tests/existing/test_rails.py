"""A real Rails application (ActiveRecord on SQLite) served as it stands: booted once, its workers forked warm."""
import json
import shutil
import threading
import time
from pathlib import Path

import pytest
from harness import ROOT, children, descendants, write

APPLICATION = ROOT / "tests/existing/rails"
MIGRATE = 'require "./config/environment"; ActiveRecord::Migration.verbose = false; ActiveRecord::Base.connection.migration_context.migrate'
SOURCES = """engine: 0.1.0
languages: [ruby]
sources:
  - path: app/services
    language: ruby
    boot: config/environment.rb
    env: {pass: [SHOP_TOKEN]}
pools: {ruby: {min: 2, max: 2}}
"""


@pytest.fixture
def application(machine):
    shop = machine.folder / "shop"
    shutil.copytree(APPLICATION, shop)
    made = machine.run("ruby", "-e", MIGRATE, cwd=shop)
    assert made.code == 0, made
    (shop / "boots.log").unlink()
    write(shop / "sabir.yml", SOURCES)
    return shop


def boots(application):
    log = application / "boots.log"
    return log.read_text().split() if log.exists() else []


def test_class_methods_are_listed_with_their_own_files(machine, application):
    done = machine.sabir("functions", "--json", cwd=application)
    assert done.code == 0, done
    listed = {one["address"]: one for one in done.json["functions"]}
    assert set(listed) == {"refund_service.call", "refund_service.total", "refund_service.inside", "refund_service.wait", "refund_service.log_line",
                           "billing.invoice_numbers.following"}, done
    assert listed["refund_service.call"]["file"] == "app/services/refund_service.rb"
    assert listed["refund_service.call"]["input_schema"]["properties"] == {
        "order_number": {"type": "string", "description": "the order's number"}, "cents": {"type": "integer", "description": "how much"}}
    assert listed["refund_service.total"]["effect"] == "read"
    assert boots(application) == [], "nothing is run to list functions"


def test_it_boots_once_and_its_workers_share_that(machine, application):
    engine = machine.start_engine(application, env={"SHOP_TOKEN": "t0ken", "OTHER_TOKEN": "hidden"})
    call = machine.sabir("call", "RefundService.call", "order_number=A1", "cents=300", "--json", cwd=application)
    assert call.code == 0, call
    assert machine.sabir("call", "refund_service.call", "order_number=A1", "cents=200", cwd=application).code == 0
    total = machine.sabir("call", "refund_service.total", "order_number=A1", "--json", cwd=application)
    assert total.code == 0 and total.json == 500, total
    inside = machine.sabir("call", "refund_service.inside", "--json", cwd=application)
    assert inside.json == {"executor": True, "token": "t0ken", "environment": "development"}, inside

    workers = set()
    def wait():
        workers.add(machine.sabir("call", "refund_service.wait", "seconds=1.5", cwd=application).out.strip())
    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(workers) == 2, workers
    booted = boots(application)
    assert len(booted) == 1 and call.json["boot"] == int(booted[0]) and call.json["worker"] != call.json["boot"], (booted, call)
    # Each worker leads a group of its own, so that what it starts ends with it.
    for worker in workers:
        stat = (ROOT / "/proc" / worker / "stat").read_text()
        assert int(stat[stat.rindex(")") + 2:].split()[2]) == int(worker)
    assert {str(pid) for pid, _, _ in children(int(booted[0]))} >= workers

    # A worker that dies is told and replaced, without another boot.
    machine.run("kill", "-9", *workers)
    # A call that reaches one as it ends is made once more, and may meet the other.
    deadline = time.monotonic() + 20
    while any(Path("/proc", worker).exists() for worker in workers):
        assert time.monotonic() < deadline, workers
        time.sleep(0.01)
    again = machine.sabir("call", "refund_service.total", "order_number=A1", "--json", cwd=application)
    assert again.code == 0 and again.json == 500, again
    assert boots(application) == booted
    below = {pid for pid, _, _ in descendants(engine.pid)}
    assert not any(state == "Z" for _, state, _ in descendants(engine.pid))
    engine.terminate()
    engine.wait(timeout=20)
    end = time.monotonic() + 10
    while time.monotonic() < end and any((ROOT / "/proc" / str(pid)).exists() for pid in below):
        time.sleep(0.05)
    assert not any((ROOT / "/proc" / str(pid)).exists() for pid in below), "nothing outlives the engine"


def test_an_object_that_needs_nothing_is_made_for_each_call(machine, application):
    for _ in range(2):
        done = machine.sabir("call", "billing.invoice_numbers.following", "last=41", cwd=application)
        assert done.code == 0 and done.out.strip() == "INV-00042-1", done


def test_errors_of_the_application_have_its_file_and_line(machine, application):
    done = machine.sabir("call", "refund_service.call", "order_number=A1", "cents=-5", "--json", cwd=application)
    assert done.code == 1 and done.json["error"]["error_class"] == "ActiveRecord::RecordInvalid", done
    line = next(number for number, text in enumerate((application / "app/services/refund_service.rb").read_text().splitlines(), 1) if "create!" in text)
    assert done.json["error"]["file"] == "app/services/refund_service.rb" and done.json["error"]["line"] == line, done
    refused = machine.sabir("call", "refund_service.call", "order_number=A1", "cents=much", cwd=application)
    assert refused.code != 0 and "cents" in refused.err, refused


def test_a_boot_file_that_does_not_load_is_told_with_its_place(machine, application):
    write(application / "config/initializers/broken.rb", "Rails.logger\nraise \"no licence\"\n")
    done = machine.sabir("call", "refund_service.total", "order_number=A1", "--json", cwd=application)
    assert done.code == 1 and done.json["error"]["type"] == "load_failed", done
    assert done.json["error"]["file"] == "config/initializers/broken.rb" and done.json["error"]["line"] == 2 and "no licence" in done.json["error"]["message"], done


def test_changed_code_is_loaded_anew_by_rails_itself(machine, application):
    machine.start_engine(application)
    total = lambda: machine.sabir("call", "refund_service.total", "order_number=A1", cwd=application)
    first = total()
    assert first.code == 0 and first.out.strip() == "0", first
    service = application / "app/services/refund_service.rb"
    service.write_text(service.read_text().replace(".sum(:cents)", ".sum(:cents) + 7"))
    # A class of another folder that it uses is Rails' own affair.
    write(application / "app/models/refund.rb", (application / "app/models/refund.rb").read_text().replace("greater_than: 0", "greater_than: 100"))
    end = time.monotonic() + 20
    while total().out.strip() != "7":
        assert time.monotonic() < end, total()
    small = machine.sabir("call", "refund_service.call", "order_number=A1", "cents=50", cwd=application)
    assert small.code == 1 and "greater than 100" in small.err, small
    # A new method is served as well.
    service.write_text(service.read_text().replace("  def self.log_line", "  # @effect read\n  def self.added\n    1\n  end\n\n  def self.log_line"))
    while machine.sabir("call", "refund_service.added", cwd=application).code != 0:
        assert time.monotonic() < end
    assert len(boots(application)) == 1


def test_in_production_changed_code_boots_anew_while_the_old_serves(machine, application):
    machine.start_engine(application, env={"SABIR_ENV": "production"})
    total = lambda: machine.sabir("call", "refund_service.total", "order_number=A1", cwd=application, env={"SABIR_ENV": "production"})
    first = total()
    assert first.code == 0 and first.out.strip() == "0", first
    service = application / "app/services/refund_service.rb"
    service.write_text(service.read_text().replace(".sum(:cents)", ".sum(:cents) + 7"))
    end = time.monotonic() + 40
    while (now := total()).out.strip() != "7":
        assert now.code == 0 and time.monotonic() < end, now
    assert len(boots(application)) == 2


def test_init_adopts_it_and_overwrites_nothing(machine, application):
    (application / "sabir.yml").unlink()
    ignored = (application / ".gitignore").read_text()
    before = {path: path.read_bytes() for path in application.rglob("*") if path.is_file()}
    shown = machine.sabir("init", "--dry-run", cwd=application)
    assert shown.code == 0 and "app/services" in shown.out and "config/environment.rb" in shown.out and ".gitignore" in shown.out, shown
    assert {path: path.read_bytes() for path in application.rglob("*") if path.is_file()} == before, "a dry run writes nothing"
    unasked = machine.sabir("init", cwd=application)
    assert unasked.code == 2 and "--yes" in unasked.err and not (application / "sabir.yml").exists(), unasked
    done = machine.sabir("init", "--yes", cwd=application)
    assert done.code == 0, done
    after = {path: path.read_bytes() for path in application.rglob("*") if path.is_file()}
    changed = {str(path.relative_to(application)) for path in after if after[path] != before.get(path)}
    assert changed == {"sabir.yml", ".gitignore"} and after[application / ".gitignore"].decode() == ignored + ".sabir/\nconfig/secrets.json\n"
    listed = machine.sabir("functions", "--json", cwd=application)
    assert "refund_service.call" in [one["address"] for one in listed.json["functions"]], listed
    assert json.loads(machine.sabir("call", "refund_service.call", "order_number=B", "cents=1", "--json", cwd=application).out)["order_number"] == "B"
    again = machine.sabir("init", "--yes", cwd=application)
    assert again.code == 1 and "already" in again.err, again
