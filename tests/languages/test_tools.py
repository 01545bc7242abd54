"""run.sh of Go and Rust compiles its tools once for each of their versions, and never runs an older one."""

import os
import pathlib
import shutil
import stat
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Stands for the compiler: the program that it makes prints the sources.
COMPILERS = {
    "go": """#!/bin/sh
# go build -o OUT .
{ echo '#!/bin/sh'; echo "cat <<'END'"; cat ./*.go; echo END; } > "$3"
chmod +x "$3"
echo made >> "$MADE"
""",
    "rust": """#!/bin/sh
while [ "$1" != --manifest-path ]; do shift; done
from=$(dirname "$2")
mkdir -p "$4/release"
{ echo '#!/bin/sh'; echo "cat <<'END'"; cat "$from"/src/*.rs; echo END; } > "$4/release/sabir-rust-tools"
chmod +x "$4/release/sabir-rust-tools"
echo made >> "$MADE"
""",
}
SOURCES = {"go": ["main.go", "other.go"], "rust": ["src/main.rs", "src/other.rs"]}
BESIDE = {"go": ["go.mod"], "rust": ["Cargo.toml", "Cargo.lock"]}


@pytest.mark.parametrize("language", ["go", "rust"])
def test_changed_tools_are_compiled_anew_and_known_ones_are_not(language, tmp_path):
    def project(name):
        folder = tmp_path / name
        for file in SOURCES[language] + BESIDE[language]:
            path = folder / "tools" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("one of %s\n" % file)
        shutil.copy(ROOT / "languages" / language / "run.sh", folder / "run.sh")
        return folder

    compiler, made = tmp_path / "compiler", tmp_path / "made"
    compiler.write_text(COMPILERS[language])
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    made.write_text("")

    def ran(folder, **options):
        done = subprocess.run(["sh", str(folder / "run.sh"), str(compiler), "describe"], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "MADE": str(made)}, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout, len(made.read_text().splitlines())

    # A blank in a folder's name, digits as a folder's name.
    first, second = project("one tool"), project("22")
    original = "".join("one of %s\n" % file for file in SOURCES[language])
    assert ran(first) == (original, 1)
    assert ran(first) == (original, 1)
    assert ran(second) == (original, 1), "the same tools elsewhere are the same program"
    # As long as before and as old.
    file = second / "tools" / SOURCES[language][1]
    times = file.stat()
    file.write_text(file.read_text().replace("one", "two"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = original.replace("one of " + SOURCES[language][1], "two of " + SOURCES[language][1])
    assert ran(second) == (changed, 2)
    assert ran(first) == (original, 2)
    # What two files say, exchanged.
    texts = [(second / "tools" / name).read_text() for name in SOURCES[language]]
    for name, text in zip(SOURCES[language], reversed(texts)):
        (second / "tools" / name).write_text(text)
    assert ran(second) == ("".join(reversed(texts)), 3)
    (second / "tools" / BESIDE[language][0]).write_text("other needs\n")
    assert ran(second)[1] == 4


@pytest.mark.parametrize("language", ["go", "rust"])
def test_what_cannot_be_summed_is_not_run(language, tmp_path):
    shutil.copy(ROOT / "languages" / language / "run.sh", tmp_path / "run.sh")
    (tmp_path / "tools").mkdir()
    done = subprocess.run(["sh", str(tmp_path / "run.sh"), "true", "describe"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.returncode != 0
    assert "cksum" in done.stderr
