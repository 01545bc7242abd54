"""Requests per second of a function over REST against a bare Beast server, by wrk (Debian's package) at 1 and 64 connections.

    ninja -C build/release bench_serve_bare sabir && python3 bench/serve.py [--seconds 5] [--rounds 3] [--json]

Servers are measured in turn, round by round, so that a busy machine disturbs all alike; each figure is the median of its rounds.
"""
import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POST = 'wrk.method = "POST"\nwrk.body = \'{"a": 1, "b": 2}\'\nwrk.headers["Content-Type"] = "application/json"\n'


def wrk(script, url, connections, seconds):
    out = subprocess.run(["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--latency", "-s", script, url], stdout=subprocess.PIPE, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit("%s answered with errors:\n%s" % (url, out))
    latency = {name: float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit] for name, number, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), latency.get("50", 0), latency.get("99", 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="sabir-") as folder:
        project = Path(folder) / "project"
        shutil.copytree(ROOT / "bench/serve/project", project)
        script = Path(folder) / "post.lua"
        script.write_text(POST)
        bare = subprocess.Popen([str(ROOT / "build/release/bench/bench_serve_bare")], stdout=subprocess.PIPE, text=True)
        served = subprocess.Popen([str(ROOT / "build/release/sabir"), "serve", "--json", "--port", "0", "--no-access-log"], cwd=project, stdout=subprocess.PIPE, text=True)
        try:
            address = json.loads(served.stdout.readline())["address"]
            servers = {"bare Beast": "http://127.0.0.1:%d/" % int(bare.stdout.readline())}
            for name, function in (("C++ inside", "inside.add"), ("C++", "outside.add"), ("Python", "plain.add")):
                servers[name] = address + "/functions/" + function
            for url in list(servers.values())[1:]:
                # What is compiled is compiled now.
                urllib.request.urlopen(urllib.request.Request(url, b'{"a": 1, "b": 2}', {"Content-Type": "application/json"}), timeout=120).read()
            rows = []
            for connections in (1, 64):
                found = {name: [] for name in servers}
                for _ in range(options.rounds):
                    for name, url in servers.items():
                        found[name].append(wrk(str(script), url, connections, options.seconds))
                base = statistics.median(rate for rate, _, _ in found["bare Beast"])
                for name, results in found.items():
                    rate = statistics.median(rate for rate, _, _ in results)
                    rows.append({"server": name, "connections": connections, "per_second": round(rate), "of_bare": round(rate / base, 2),
                                 "p50_ms": round(statistics.median(p50 for _, p50, _ in results), 3), "p99_ms": round(statistics.median(p99 for _, _, p99 in results), 3)})
        finally:
            for process in (bare, served):
                process.terminate()
                process.wait()
    for row in rows:
        print(json.dumps(row) if options.json else "%-12s %3d connections  %8d/s  %.2f of bare  p50 %.3f ms  p99 %.3f ms" % tuple(row.values()))


if __name__ == "__main__":
    main()
