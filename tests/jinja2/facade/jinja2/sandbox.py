from .absent import absent_of
from .environment import Environment

__getattr__ = absent_of(__name__)

MAX_RANGE = 100000


class SandboxedEnvironment(Environment):
    """Every template of the engine is in a sandbox: it reaches nothing but its variables."""


class ImmutableSandboxedEnvironment(SandboxedEnvironment):
    pass


def unsafe(function):
    return function
