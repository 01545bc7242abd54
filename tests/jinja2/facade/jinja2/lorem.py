"""What the suite takes from jinja2.utils, under which name __init__.py makes this module known."""
from markupsafe import Markup

from .absent import absent_of
from .environment import Environment

__getattr__ = absent_of(__name__)


def generate_lorem_ipsum(n=5, html=True, min=20, max=100):
    text = Environment().from_string("{{ lipsum(n, html, min, max) }}").render(n=n, html=html, min=min, max=max)
    return Markup(text) if html else text


def pass_context(function):
    return function
