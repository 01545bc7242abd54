"""The house keeps its shape: includes point down only, files stay small, names say what a thing holds.

Called by ctest with rooms.json, which CMake writes: each room's DEPS and the include folders its sources compile with.
"""
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine"
MANIFEST = {}
MOST_HEADER_LINES = 400
MOST_SOURCE_LINES = 800
VAGUE_NAMES = {"util", "utils", "common", "helper", "helpers", "misc", "shared", "stuff"}


def rooms():
    return MANIFEST["rooms"]


def public_headers(room):
    return sorted(p.relative_to(ENGINE / room / "include") for p in (ENGINE / room / "include").rglob("*.h"))


def reachable(room):
    """The rooms whose headers `room` may include: its DEPS and theirs."""
    found, todo = set(), [room]
    while todo:
        for dep in filter(None, rooms()[todo.pop()]["deps"].split(",")):
            if dep not in found:
                found.add(dep)
                todo.append(dep)
    return found


def preprocess(room, headers):
    """Compiles the includes as a source of `room` would, only as far as the includes themselves."""
    flags = ["-I" + folder for folder in rooms()[room]["includes"].split(",") if folder]
    with tempfile.NamedTemporaryFile("w", suffix=".cc") as source:
        source.write("".join('#include "%s"\n' % header for header in headers))
        source.flush()
        return subprocess.run([MANIFEST["compiler"], "-std=c++23", "-E", "-o", "/dev/null", *flags, source.name],
                              capture_output=True, text=True, timeout=120, check=False)


def sources():
    for top in ("engine", "fuzz", "bench"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".h", ".cc") and path.is_file():
                yield path


class Includes(unittest.TestCase):
    def test_every_upward_or_sideways_include_fails_and_every_allowed_one_is_found(self):
        allowed = {room: reachable(room) | {room} for room in rooms()}
        # All that is allowed at once, and all that is not one by one, since each must fail by itself.
        jobs = [(room, [h for other in sorted(allowed[room]) for h in public_headers(other)], True) for room in rooms()]
        jobs += [(room, [header], False) for room in rooms() for other in rooms() if other not in allowed[room]
                 for header in public_headers(other)]
        self.assertGreater(sum(1 for job in jobs if not job[2]), 0)
        wrong = []
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            results = pool.map(lambda job: preprocess(job[0], job[1]), jobs)
            for (room, headers, may), result in zip(jobs, results):
                if may and result.returncode != 0:
                    wrong.append("%s cannot include what it depends on:\n%s" % (room, result.stderr))
                if not may and (result.returncode == 0 or str(headers[0]) not in result.stderr):
                    wrong.append("%s can include %s, though it does not depend on that room" % (room, headers[0]))
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_no_include_climbs_out_of_its_room_by_a_relative_path(self):
        climbing = [str(p.relative_to(ROOT)) for p in sources() if re.search(r'^\s*#\s*include\s+"\.\./', p.read_text(), re.M)]
        self.assertEqual(climbing, [])


class Files(unittest.TestCase):
    def test_headers_and_sources_stay_short(self):
        long = []
        for path in sources():
            lines = path.read_text().count("\n")
            most = MOST_HEADER_LINES if path.suffix == ".h" else MOST_SOURCE_LINES
            if lines > most:
                long.append("%s has %d lines; %d is the most: ask what second thing is in there" % (path.relative_to(ROOT), lines, most))
        self.assertEqual(long, [], "\n".join(long))

    def test_every_header_opens_with_its_concept(self):
        bare = [str(p.relative_to(ROOT)) for p in sources() if p.suffix == ".h" and not p.read_text().startswith("//")]
        self.assertEqual(bare, [])

    def test_every_public_header_says_which_threads_may_use_it(self):
        silent = [str(p.relative_to(ROOT)) for p in sources()
                  if "include" in p.parts and p.suffix == ".h" and "Threads:" not in p.read_text()]
        self.assertEqual(silent, [])

    def test_names_say_what_a_thing_holds(self):
        vague = [str(p.relative_to(ROOT)) for top in ("engine", "bridge/src", "languages", "tests", "script")
                 for p in (ROOT / top).rglob("*") if p.stem in VAGUE_NAMES and "node_modules" not in p.parts]
        self.assertEqual(vague, [])

    def test_a_language_is_always_the_same_few_files(self):
        incomplete = []
        for folder in sorted(p.parent for p in (ROOT / "languages").glob("*/language.yml")):
            names = {p.name for p in folder.iterdir()}
            stems = {p.stem for p in folder.iterdir()}
            missing = [n for n in ("language.yml", "README.md", "expected_failures.yaml", "sdk") if n not in names]
            missing += [] if "testee" in stems else ["testee"]
            if missing:
                incomplete.append("languages/%s lacks %s" % (folder.name, ", ".join(missing)))
        self.assertEqual(incomplete, [], "\n".join(incomplete))


if __name__ == "__main__":
    MANIFEST = json.loads(pathlib.Path(sys.argv.pop()).read_text())
    unittest.main(verbosity=1)
