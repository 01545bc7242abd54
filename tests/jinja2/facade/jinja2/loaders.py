from .absent import absent_of

__getattr__ = absent_of(__name__)


class DictLoader:
    def __init__(self, mapping):
        self.mapping = mapping
