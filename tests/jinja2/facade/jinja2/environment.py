"""Environment and Template of Jinja2's Python API, over the engine's renderer."""
import json

from .exceptions import TemplateNotFound
from .renderer import answered, plain, safe_names
from .runtime import ChainableUndefined, StrictUndefined, Undefined

# What a template made from a string is called; Jinja2's has no name.
NAMELESS = "<template>"
MODULE = "<module>"

SYNTAX = ("block_start_string", "block_end_string", "variable_start_string", "variable_end_string", "comment_start_string",
          "comment_end_string", "line_statement_prefix", "line_comment_prefix", "trim_blocks", "lstrip_blocks",
          "keep_trailing_newline")


class Environment:
    def __init__(self, block_start_string="{%", block_end_string="%}", variable_start_string="{{", variable_end_string="}}",
                 comment_start_string="{#", comment_end_string="#}", line_statement_prefix=None, line_comment_prefix=None,
                 trim_blocks=False, lstrip_blocks=False, newline_sequence="\n", keep_trailing_newline=False, extensions=(),
                 undefined=Undefined, autoescape=False, loader=None):
        given = locals()
        self.syntax = {name: given[name] for name in SYNTAX}
        self.newline_sequence = newline_sequence
        self.undefined, self.autoescape, self.loader = undefined, autoescape, loader
        self.globals, self.filters, self.tests, self.policies = {}, {}, {}, {}

    def install_gettext_callables(self, *_callables, **_options):
        """Of i18n, whose tests are excluded but share a module with others."""

    def from_string(self, source, globals=None):
        return Template._of(self, source, None, globals)

    def get_template(self, name, globals=None):
        texts = self._texts()
        if name not in texts:
            raise TemplateNotFound(name)
        return Template._of(self, texts[name], name, globals)

    def parse(self, source):
        return self.from_string(source)

    def call_filter(self, name, value):
        return json.loads(self.from_string("{{ value|%s|tojson }}" % name).render(value=value))

    def call_test(self, name, value):
        return self.from_string("{{ value is %s }}" % name).render(value=value) == "True"

    def _texts(self):
        return dict(self.loader.mapping) if self.loader else {}

    def _escapes(self, name):
        return bool(self.autoescape(None if name in (NAMELESS, MODULE) else name) if callable(self.autoescape) else self.autoescape)

    def _ask(self, op, name, texts, variables, globals):
        texts = {**self._texts(), **texts}
        behaviour = "lenient"
        if issubclass(self.undefined, StrictUndefined):
            behaviour = "strict"
        elif issubclass(self.undefined, ChainableUndefined):
            behaviour = "chainable"
        return answered({
            # What is rendered is explained as well, and has to be the same text.
            "op": "explain" if op == "render" else op, "template": name, "templates": texts, "variables": plain(variables),
            "globals": plain({**self.globals, **(globals or {})}), "safe": safe_names(variables), "undefined": behaviour,
            "autoescape": [text for text in texts if self._escapes(text)], "syntax": self.syntax,
        })


class Template:
    def __new__(cls, source, **options):
        return Environment(**options).from_string(source)

    @classmethod
    def _of(cls, environment, source, name, globals):
        template = object.__new__(cls)
        template.environment, template.source, template.name = environment, source, name
        template.globals = globals
        # A template is compiled where it is made: its errors of syntax are raised there.
        template.variables = template._ask("variables", {})
        return template

    def _ask(self, op, variables, wrapper=None):
        name = self.name or NAMELESS
        texts = {name: self.source}
        if wrapper is not None:
            texts[MODULE] = wrapper % name
            name = MODULE
        return self.environment._ask(op, name, texts, variables, self.globals)

    def render(self, *args, **kwargs):
        return self._ask("render", dict(*args, **kwargs))

    @property
    def module(self):
        return TemplateModule(self)


class TemplateModule:
    """What a template exports, asked for by templates that import it."""

    def __init__(self, template):
        self._template = template

    def _said(self, expression, **variables):
        return self._template._ask("render", variables, '{%% import "%s" as it with context %%}{{ ' + expression + " }}")

    def __str__(self):
        return self._said("it")

    def __getattr__(self, name):
        if name.startswith("_") or self._said("it.%s is defined" % name) != "True":
            raise AttributeError(name)
        if self._said("it.%s is callable" % name) == "True":
            return Macro(self, name)
        return json.loads(self._said("it.%s|tojson" % name))


class Macro:
    def __init__(self, module, name):
        self._module, self._name = module, name

    def __call__(self, *args, **kwargs):
        return self._module._said("it.%s(*given_args, **given_kwargs)" % self._name, given_args=args, given_kwargs=kwargs)

    def __getattr__(self, name):
        value = json.loads(self._module._said("it.%s.%s|tojson" % (self._name, name)))
        return tuple(value) if isinstance(value, list) else value
