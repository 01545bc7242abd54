"""So much of Jinja2's Python API as its test suite needs, with the engine's renderer underneath."""
import sys

from . import loaders, lorem, meta, nodes
from .absent import absent_of
from .environment import Environment, Template
from .exceptions import (TemplateAssertionError, TemplateError, TemplateNotFound, TemplateRuntimeError, TemplatesNotFound,
                         TemplateSyntaxError, UndefinedError)
from .loaders import DictLoader
from .runtime import ChainableUndefined, DebugUndefined, StrictUndefined, Undefined
from .lorem import pass_context

__getattr__ = absent_of(__name__)
sys.modules[__name__ + ".utils"] = utils = lorem
