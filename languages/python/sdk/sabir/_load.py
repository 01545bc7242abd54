"""A user's files as modules, under the names that pytest and the worker agree on."""

import os
import sys
from importlib.machinery import ModuleSpec

try:
    # What importlib.util re-exports, without the rest of it.
    from importlib._bootstrap import module_from_spec
    from importlib._bootstrap_external import spec_from_file_location
except ImportError:
    from importlib.util import module_from_spec, spec_from_file_location


class LoadFailed(Exception):
    """A user's file does not load. `error` is what it raised; file and line say where."""

    def __init__(self, message, hint, file, line, error):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.file = file
        self.line = line
        self.error = error


def shown(path, root):
    """The path as its user would type it: relative to the project, where it lies inside."""
    return os.path.relpath(path, root) if root and path.startswith(root + os.sep) else path


def place_of(error, root, file=None):
    """(file, line) of the traceback's innermost frame in the user's own code, or (None, None)."""
    found = (None, None)
    trace = error.__traceback__
    prefix = root + os.sep if root else None
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name == file or (prefix and name.startswith(prefix) and "site-packages" not in name and os.sep + "." not in name[len(root):]):
            found = (name, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _package(name, folder):
    if name in sys.modules:
        return
    init = os.path.join(folder, "__init__.py")
    if os.path.exists(init):
        spec = spec_from_file_location(name, init, submodule_search_locations=[folder])
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [folder]
    module = module_from_spec(spec)
    sys.modules[name] = module
    if spec.loader is not None:
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
    _attach(name, module)


def _attach(name, module):
    """Makes a module its package's attribute, as an import statement does."""
    package, _, own = name.rpartition(".")
    if package:
        setattr(sys.modules[package], own, module)


def module_name(path, root):
    """functions/python/text.py in the project -> "functions.python.text"; outside it, the file's own name."""
    stem = os.path.splitext(shown(path, root))[0]
    if os.path.isabs(stem):
        return "sabir_file_%x_%s" % (hash(path) & 0xFFFFFFFF, os.path.basename(stem))
    return stem.replace(os.sep, ".")


def load(path, root):
    """The module of the file `path`. A file that failed is tried again. Errors: LoadFailed."""
    name = module_name(path, root)
    loaded = sys.modules.get(name)
    if loaded is not None and os.path.abspath(getattr(loaded, "__file__", None) or "") == path:
        return loaded
    folder = os.path.dirname(path)
    # Last, so that a user's statistics.py does not replace the standard library's.
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        parts = name.split(".")
        at = root
        for depth in range(1, len(parts)):
            at = os.path.join(at, parts[depth - 1])
            _package(".".join(parts[:depth]), at)
        spec = spec_from_file_location(name, path)
        if spec is None:
            raise ImportError("%s is not a Python file" % path)
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        raise _failure(error, path, root) from None
    _attach(name, module)
    return module


def _failure(error, path, root):
    if isinstance(error, SyntaxError):
        file, line = error.filename, error.lineno
        message = "%s: %s" % (type(error).__name__, error.msg)
        hint = "correct the syntax there"
    else:
        file, line = place_of(error, root, path)
        message = "%s: %s" % (type(error).__name__, error)
        hint = ""
        if isinstance(error, FileNotFoundError) and error.filename == path:
            hint = "the file is gone; restore it or call another function"
        elif isinstance(error, ModuleNotFoundError):
            hint = "add the package that has `%s` to requirements.txt and run `sabir setup`" % (error.name or "it").split(".")[0]
    file = shown(os.path.abspath(file or path), root)
    return LoadFailed("%s does not load: %s" % (shown(path, root), message), hint, file, line or 1, error)
