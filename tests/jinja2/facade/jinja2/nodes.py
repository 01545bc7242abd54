from .absent import absent_of

__getattr__ = absent_of(__name__)
