"""Code that was not written for the engine (`sources` of sabir.yml): imported under its own names, as its application does."""

import importlib
import importlib.util
import os
import sys

from ._load import _failure, load


def import_name(path, root):
    """(name, folder to import from) of a module's file: "acme_orders.pricing", "/site-packages"."""
    best = ""
    for entry in sys.path:
        entry = os.path.abspath(entry or ".")
        if entry != root and path.startswith(entry + os.sep) and len(entry) > len(best):
            best = entry
    if not best:
        # Above the outermost package.
        best = os.path.dirname(path)
        while os.path.exists(os.path.join(best, "__init__.py")) and os.path.dirname(best) != best:
            best = os.path.dirname(best)
    parts = os.path.splitext(os.path.relpath(path, best))[0].split(os.sep)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts), best


def load_existing(path, root):
    """The module of the file `path`, under the name that the rest of its application imports it by. Errors: LoadFailed."""
    name, folder = import_name(path, root)
    # Last, so that a user's statistics.py does not replace the standard library's.
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        spec = importlib.util.find_spec(name) if name else None
        if spec is not None and spec.origin is not None and os.path.realpath(spec.origin) == os.path.realpath(path):
            return importlib.import_module(name)
    except BaseException as error:
        raise _failure(error, path, root) from None
    # Something else has its name.
    return load(path, root)
