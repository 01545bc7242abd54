"""Where the microseconds of a call go: the driver's process and the worker's, sampled by perf while one call at a time goes to
and fro on one core, so that every microsecond of a call is one of that core.

    profile.py LANGUAGE DRIVER RESOURCES PROJECT CACHE [--seconds N] [--symbols]

Prints a row for each part of each process: microseconds of a call. Needs perf (Debian: linux-perf) and the right to sample.
"""
import argparse
import collections
import re
import subprocess
import sys
import tempfile

HERTZ = 9900
# What a symbol belongs to: the first that matches, by process.
ENGINE = [
    ("C++ runtime: memory, copies", r"^(_int_|malloc|free|calloc|realloc|cfree|operator (new|delete)|__mem|mem(cpy|move|set|cmp)|std::|__str|void std::|unlink_chunk)"),
    ("event loop (Boost.Asio)", r"boost::asio"),
    ("JSON values (Boost.JSON)", r"boost::json"),
    ("room protocol: frames, JSON text", r"sabir::protocol"),
    ("room schema: arguments and results checked", r"sabir::schema"),
    ("room workers: pool, peer, deadlines", r"sabir::workers"),
    ("room functions: address, contexts, journal", r"sabir::functions"),
    ("room net: the loop's own", r"sabir::net"),
    ("room base", r"sabir::"),
    ("the driver", r"Run::|main|nested|HandWritten"),
]
WORKER = [
    ("C library: memory, copies", r"^(_int_|malloc|free|calloc|realloc|cfree|__mem|mem(cpy|move|set|cmp))"),
    ("JSON in the interpreter's own C code", r"(?i)json|scanstring|py_encode_basestring|encoder_|scanner_"),
]


def sampled(pid, seconds, folder):
    data = "%s/%d.data" % (folder, pid)
    return subprocess.Popen(["perf", "record", "-F", str(HERTZ), "-e", "cpu-clock", "-p", str(pid), "-o", data, "--", "sleep", str(seconds)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE), data


def shares(data, table, rest):
    """Samples by part, and by symbol."""
    text = subprocess.run(["perf", "script", "-i", data, "-F", "ip,sym,dso"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, timeout=300).stdout
    by_part, by_symbol = collections.Counter(), collections.Counter()
    for line in text.splitlines():
        match = re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line)
        if not match:
            continue
        symbol, place = match.groups()
        if "kernel" in place or place.startswith("[guest"):
            part = "kernel: socket, wake-up, switch"
        elif "vdso" in place:
            part = "clock"
        else:
            part = next((name for name, pattern in table if re.search(pattern, symbol)), rest)
        by_part[part] += 1
        by_symbol[(part, symbol)] += 1
    return by_part, by_symbol


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("language")
    parser.add_argument("driver", nargs=4)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="a string of 100 KB there and back, in Python")
    parser.add_argument("--symbols", action="store_true", help="the five heaviest symbols of each part as well")
    options = parser.parse_args()
    driver = subprocess.Popen(options.driver + ["--rates", options.language, "--window", "1"] + ["--large"] * options.large, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    try:
        line = ""
        while not line.startswith("worker "):
            line = driver.stderr.readline()
            if not line:
                sys.exit("the driver ended")
        worker = int(line.split()[1])
        with tempfile.TemporaryDirectory() as folder:
            # One measurement without perf beside it is the figure; the samples tell its parts.
            def rate():
                driver.stdin.write("\n")
                driver.stdin.flush()
                return float(driver.stdout.readline())
            rates = sorted(rate() for _ in range(3))
            watches = [sampled(pid, options.seconds, folder) for pid in (driver.pid, worker)]
            for _ in range(options.seconds):
                rate()
            for watch, _ in watches:
                if watch.wait(30) != 0:
                    sys.exit("perf cannot sample here: " + watch.stderr.read().decode().strip())
            call_us = 1e6 / rates[1]
            found = [shares(data, table, rest) for (_, data), table, rest in zip(watches, (ENGINE, WORKER), ("other", "the interpreter"))]
    finally:
        driver.stdin.close()
        driver.wait(30)
    total = sum(sum(by_part.values()) for by_part, _ in found)
    print("a call of %s: %.1f us, one at a time on one core; %d samples" % (options.language, call_us, total))
    for name, (by_part, by_symbol) in zip(("engine", "worker"), found):
        print("%-62s %6.1f us" % (name, sum(by_part.values()) / total * call_us))
        for part, count in by_part.most_common():
            print("  %-60s %6.1f us" % (part, count / total * call_us))
            if options.symbols:
                for (_, symbol), samples in collections.Counter({key: n for key, n in by_symbol.items() if key[0] == part}).most_common(5):
                    print("    %-58s %6.2f us" % (symbol[:58], samples / total * call_us))
    return 0


if __name__ == "__main__":
    sys.exit(main())
