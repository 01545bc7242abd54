#!/usr/bin/env python3
"""What an engine uses that nobody asks for anything: once started, and with warm workers after calls."""
import argparse
import sys
import time

from machine import Place, Rows, measure_idle


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = Rows(options.json)
    place = Place(["python", "ruby"], {})
    try:
        for when in ("started", "after calls in two languages"):
            if when != "started":
                for _ in range(20):
                    place.call("ruby/slugify", text="A b")
                    place.call("python/function1.do_something")
            time.sleep(2)
            percent, megabytes = measure_idle(place.engine.pid)
            # A clock tick in ten seconds is a tenth of a percent: none is what nothing looks like.
            rows.add("idle engine, %s: CPU" % when, percent, "%", 0.0)
            rows.add("idle engine, %s: memory" % when, megabytes, "MB", 30.0)
    finally:
        place.close()
    return 0 if rows.all_met else 1


if __name__ == "__main__":
    sys.exit(main())
