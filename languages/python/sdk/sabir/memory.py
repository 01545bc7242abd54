"""The project's memory: the same data from every language, scoped by the caller's context."""

from . import _channel


class Item:
    """One stored item: key, value, version, updated_ms (Unix milliseconds)."""

    __slots__ = ("key", "value", "version", "updated_ms")

    def __init__(self, key, value, version=0, updated_ms=0):
        self.key = key
        self.value = value
        self.version = version
        self.updated_ms = updated_ms

    def __repr__(self):
        return "Item(%r, %r, version=%r)" % (self.key, self.value, self.version)


class Items(list):
    """Items in the order of their keys; also read by key: items["colour"], "colour" in items, items.to_dict()."""

    def __getitem__(self, key):
        if isinstance(key, str):
            for item in self:
                if item.key == key:
                    return item.value
            raise KeyError(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        return any(item.key == key for item in self) if isinstance(key, str) else super().__contains__(key)

    def keys(self):
        return [item.key for item in self]

    def values(self):
        return [item.value for item in self]

    def items(self):
        return [(item.key, item.value) for item in self]

    def to_dict(self):
        return dict(self.items())


_PAGE = 500


def put(key, value, namespace="default", if_version=None, ttl=None):
    """Stores a JSON value and returns its version, 1 for a new key.

    if_version: store only when the present version is this one (0: only when the key is new), else Error "conflict".
    ttl: seconds after which the item is gone.
    """
    params = {"namespace": namespace, "key": key, "value": value}
    if if_version is not None:
        params["if_version"] = if_version
    if ttl is not None:
        params["ttl_ms"] = int(ttl * 1000)
    return _channel.request("memory.put", params, ("value",))["version"]


def get(key, namespace="default", default=None):
    """The value stored under `key`, or `default`."""
    result = _channel.request("memory.get", {"namespace": namespace, "key": key}, again=True)
    return result.get("value") if result.get("found") else default


def list(prefix="", namespace="default"):
    """All items whose key starts with `prefix`, as Items."""
    found = Items()
    after = ""
    while True:
        params = {"namespace": namespace, "prefix": prefix, "limit": _PAGE}
        if after:
            params["after"] = after
        page = _channel.request("memory.list", params, again=True)["items"]
        for item in page:
            found.append(Item(item["key"], item.get("value"), item.get("version", 0), item.get("updated_ms", 0)))
        if len(page) < _PAGE:
            return found
        after = page[-1]["key"]


def delete(key, namespace="default"):
    """Removes an item; whether there was one."""
    return _channel.request("memory.delete", {"namespace": namespace, "key": key})["deleted"]


def append(conversation, message):
    """Adds a message {"role": …, "content": …} to a conversation's log and returns its number."""
    return _channel.request("memory.append", {"conversation": conversation, "message": message}, ("message",))["seq"]


def messages(conversation, limit=50):
    """A conversation's last messages, oldest first."""
    result = _channel.request("memory.messages", {"conversation": conversation, "limit": limit}, again=True)
    return [entry["message"] for entry in result["messages"]]
