"""Jinja2's exceptions, as its tests catch them."""


class TemplateError(Exception):
    @property
    def message(self):
        return self.args[0] if self.args else None


class TemplateNotFound(IOError, LookupError, TemplateError):
    def __init__(self, name, message=None):
        super().__init__(message or name)
        self.name = name
        self.templates = [name]

    @property
    def message(self):
        return self.args[0]


class TemplatesNotFound(TemplateNotFound):
    def __init__(self, names=(), message=None):
        super().__init__(names[-1] if names else None, message)
        self.templates = list(names)


class TemplateSyntaxError(TemplateError):
    def __init__(self, message, lineno=0, name=None, filename=None):
        super().__init__(message)
        self.lineno, self.name, self.filename = lineno, name, filename


class TemplateAssertionError(TemplateSyntaxError):
    pass


class TemplateRuntimeError(TemplateError):
    pass


class UndefinedError(TemplateRuntimeError):
    pass


class SecurityError(TemplateRuntimeError):
    pass


class OperationError(TemplateRuntimeError, TypeError, ValueError):
    """The engine has one kind of error for what a value cannot do, where Python has several types."""
