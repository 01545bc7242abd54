"""A file whose import fails on line 3."""

import sabir_no_such_module


def never():
    return 1
