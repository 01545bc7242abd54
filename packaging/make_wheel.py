"""Writes a Python wheel with the engine's binary and the Python SDK, without network and without build tools.

    make_wheel.py VERSION BINARY SDK_FOLDER LICENCE OUTPUT_FOLDER

The wheel's tag names the oldest glibc that the binary's symbols ask for (PEP 600); the layout is PEP 427's. Names and dates
are fixed, so the same inputs give the same bytes.
"""
import base64
import hashlib
import pathlib
import re
import subprocess
import sys
import zipfile

METADATA = """Metadata-Version: 2.1
Name: sabir
Version: %s
Summary: One native engine for AI projects whose parts are written in many languages
License: Apache-2.0
Requires-Python: >=3.8
Description-Content-Type: text/markdown

`sabir` the command, and `import sabir` for Python functions that call other languages, memory, prompts and models.
"""


def glibc_needed(binary):
    """(2, 34) for a binary whose newest versioned symbol is GLIBC_2.34."""
    text = subprocess.run(["objdump", "-T", str(binary)], check=True, capture_output=True, text=True).stdout
    versions = {tuple(int(n) for n in found.split(".")) for found in re.findall(r"GLIBC_(\d+\.\d+)", text)}
    if not versions:
        sys.exit("make_wheel: %s names no glibc version" % binary)
    return max(versions)[:2]


def main(version, binary, sdk, licence, output):
    binary, sdk, licence, output = map(pathlib.Path, (binary, sdk, licence, output))
    tag = "py3-none-manylinux_%d_%d_x86_64" % glibc_needed(binary)
    info = "sabir-%s.dist-info" % version
    files = [("sabir-%s.data/scripts/sabir" % version, binary.read_bytes(), 0o755)]
    for path in sorted(p for p in sdk.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        files.append((path.relative_to(sdk).as_posix(), path.read_bytes(), 0o644))
    files.append((info + "/METADATA", (METADATA % version).encode(), 0o644))
    files.append((info + "/WHEEL", ("Wheel-Version: 1.0\nGenerator: sabir\nRoot-Is-Purelib: false\nTag: %s\n" % tag).encode(), 0o644))
    # pytest finds the fixtures by it; the name is the module's, so that a conftest.py that imports it loads nothing twice.
    files.append((info + "/entry_points.txt", b"[pytest11]\nsabir.testing = sabir.testing\n", 0o644))
    files.append((info + "/LICENSE", licence.read_bytes(), 0o644))
    record = ""
    for name, data, _ in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\n" % (name, digest, len(data))
    record += info + "/RECORD,,\n"
    files.append((info + "/RECORD", record.encode(), 0o644))
    wheel = output / ("sabir-%s-%s.whl" % (version, tag))
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in files:
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    print(wheel.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
