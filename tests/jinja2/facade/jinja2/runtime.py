"""The kinds of undefined values, which choose how the renderer treats them."""
from .absent import absent_of
from .exceptions import UndefinedError

__getattr__ = absent_of(__name__)


class Undefined:
    def __init__(self, hint=None, obj=None, name=None, exc=UndefinedError):
        self._undefined_hint, self._undefined_obj, self._undefined_name, self._undefined_exception = hint, obj, name, exc

    def __eq__(self, other):
        return type(self) is type(other)

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return id(type(self))

    def __str__(self):
        return ""

    def __bool__(self):
        return False


class ChainableUndefined(Undefined):
    pass


class DebugUndefined(Undefined):
    pass


class StrictUndefined(Undefined):
    pass
