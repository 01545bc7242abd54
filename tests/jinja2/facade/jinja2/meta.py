import json

from .absent import absent_of

__getattr__ = absent_of(__name__)


def find_undeclared_variables(template):
    return set(json.loads(template.variables))
