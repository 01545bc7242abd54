"""Which connection the SDK's requests take: the worker's own, or this process's to an engine.

Threads: any.
"""

import os

try:
    from _thread import RLock
except ImportError:
    from threading import RLock

from ._error import Error
from ._wire import Closed

# The worker's connection, set by worker.py; None in every other process.
worker = None
_client = None
_lock = RLock()


def request(method, params, large=(), again=False):
    """One request to the engine. again: it may be repeated when the engine went away in between. Errors: Error."""
    if worker is not None:
        try:
            return worker.request(method, params, large)
        except Closed:
            raise Error("protocol", "the engine ended its connection during %s" % method)
    for last in (False, True):
        client = _connected()
        try:
            client.tell_test()
            return client.connection.request(method, dict(params), large)
        except Closed as closed:
            _drop(client)
            sent = closed.args and closed.args[0]
            if last or (sent and not again):
                raise Error(
                    "outcome_unknown" if sent else "protocol",
                    "the engine went away during %s%s" % (method, "; it may or may not have happened" if sent else ""),
                    "try again; `sabir engine status` tells whether an engine runs")


def stream(method, params, large=()):
    """Yields what comes before the answer of a request to the engine. Errors: Error."""
    connection = worker
    try:
        if connection is None:
            client = _connected()
            client.tell_test()
            connection = client.connection
        yield from connection.stream(method, dict(params), large)
    except Closed:
        raise Error("outcome_unknown", "the engine went away during %s; it may or may not have happened" % method,
                    "try again; `sabir engine status` tells whether an engine runs")


def notify(method, params):
    """A notification for the running call; False outside a worker or when no call runs."""
    if worker is None:
        return False
    if worker.parent is not None:
        params["id"] = worker.parent
    elif method == "progress":
        return False
    try:
        worker.notify(method, params)
    except OSError:
        return False
    return True


def _connected():
    global _client
    with _lock:
        if _client is None:
            from ._client import Client
            _client = Client.connect()
        return _client


def _drop(client):
    global _client
    with _lock:
        if _client is client:
            _client = None
    client.close()


def close():
    """Ends this process's connection; the next request makes another."""
    client = _client
    if client is not None:
        _drop(client)


def _after_fork():
    # The parent goes on using both connections; the child's copies would mix their bytes.
    global worker, _client, _lock
    _lock = RLock()
    if worker is not None:
        worker.close()
        worker = None
    if _client is not None:
        _client.abandon()
        _client = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
