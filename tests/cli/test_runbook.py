"""Every command of docs/runbook.md, in its order, against a served project."""
import os
import re
import shutil
import signal
import subprocess
import time

from harness import ROOT
from serving import FILES, alive, machine_of, write_project

MORE = {**FILES, "config/openai_config.yml": '{"default": "scripted", "models": {"scripted": {"provider": "scripted", "replies": [{"text": "Hello."}]}}}'}


def commands():
    text = (ROOT / "docs" / "runbook.md").read_text()
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", text, re.S)]


def test_the_runbook_s_commands_do_what_it_says(binary, cache):
    assert len(commands()) >= 12
    with machine_of(binary, cache) as machine:
        # Port 8080 is what the page says; here it is whichever is free.
        project = write_project(machine.folder / "run", "expose: {rest: [notes.*]}\nserve: {port: 0, limits: {drain: 3s}}\n", MORE, languages="python")
        env = {**machine.env, "SABIR_ENV": "production"}
        assert machine.sabir("tokens", "add", "first", "--scopes", "admin", cwd=project, env={"SABIR_ENV": "production"}).code == 0
        token = machine.sabir("tokens", "add", "scraper", "--scopes", "admin", "--json", cwd=project, env={"SABIR_ENV": "production"}).json["token"]
        # So that there are traces.
        assert machine.sabir("call", "notes.shorten", "text=a", cwd=project, env={"SABIR_ENV": "production"}).code == 0
        log = open(machine.folder / "log", "w+")
        started = []

        def serve(*words):
            process = subprocess.Popen([str(machine.binary), "serve", *words], cwd=project, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            started.append(process)
            return process

        def logged(text, seconds=30):
            until = time.monotonic() + seconds
            while text not in (said := (machine.folder / "log").read_text()):
                assert time.monotonic() < until, said
                time.sleep(0.05)
            return said
        try:
            process = serve()
            said = logged(" serves run (production)")
            port = re.search(r"127\.0\.0\.1:(\d+) serves", said).group(1)
            env.update(METRICS_TOKEN=token, PID=str(process.pid))
            for block in commands():
                block = block.replace("8080", port)
                if block.startswith("sabir serve --takeover"):
                    before = process
                    process = serve("--takeover")
                    logged("handed over to process %d" % process.pid)
                    env["PID"] = str(process.pid)
                    before.wait(20)
                    continue
                if block.startswith("kill -TERM"):
                    continue  # at the end
                if block.startswith("sabir deploy"):
                    continue  # tests/cli/test_deploy.py
                if "sqlite3" in block and not shutil.which("sqlite3"):
                    continue
                done = subprocess.run(["sh", "-ec", block], cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
                assert done.returncode == 0, (block, done.stdout)
                assert process.poll() is None, block
            names = {path.name for path in (project / "backup").iterdir()}
            assert "tokens.json" in names and (not shutil.which("sqlite3") or "traces.db" in names), names
            assert subprocess.run(["sh", "-c", "kill -TERM $PID"], env=env).returncode == 0
            assert process.wait(20) == 0
        finally:
            for one in started:
                if alive(one.pid):
                    os.killpg(one.pid, signal.SIGKILL)
                one.wait(10)
            log.close()
