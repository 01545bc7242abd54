"""Stands for what the suite names but no test that runs here uses."""


def absent_of(module):
    def __getattr__(name):
        if name.startswith("__"):
            raise AttributeError(name)
        absent = "%s.%s is not part of the façade" % (module, name)

        def refuse(*_args, **_kwargs):
            raise NotImplementedError(absent)

        class Names(type):
            def __getattr__(cls, attribute):
                if attribute.startswith("__"):
                    raise AttributeError(attribute)
                return refuse

        # Modules of the suite make some when they are imported.
        return Names(name, (), {"__init__": lambda self, *args, **kwargs: None, "__call__": refuse})

    return __getattr__
