"""Starts the worker as a module, so that the interpreter keeps it compiled: a cold call is answered some milliseconds sooner."""

import os
import sys

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.abspath(__file__))
    import worker
    # A user's own `worker` is another.
    del sys.modules["worker"]
    worker.main()
