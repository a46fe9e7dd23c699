"""Flask-Caching's backends with values stored as msgpack. Reading msgpack builds plain values and runs no code."""

import os
import struct
import tempfile
from typing import IO, Any, cast

import msgspec
from cachelib.serializers import BaseSerializer
from flask import Flask
from flask_caching.backends.filesystemcache import FileSystemCache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.backends.simplecache import SimpleCache

# Bytes without this prefix, such as pickled values of older releases, are ignored and never unpickled.
PREFIX = b"mp1:"
# KEYS: a key. ARGV: the value that it must have.
DELETE_IF_EQUAL = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class PackedSerializer(BaseSerializer):
    """Implements cachelib's serializer, for bytes and for files."""

    def dumps(self, value: Any, protocol: int = 0) -> bytes:
        """Return `value` as bytes. Raises TypeError for a type that msgpack does not have."""
        return PREFIX + _encode(value)

    def loads(self, bvalue: bytes | None) -> Any:
        """Return the value, or None for bytes that this class has not written."""
        if bvalue is None or not bvalue.startswith(PREFIX):
            return None
        try:
            return _decode(memoryview(bvalue)[len(PREFIX) :])
        except msgspec.DecodeError:
            return None

    def dump(self, value: Any, f: IO[bytes], protocol: int = 0) -> None:
        """Write `value` into a file."""
        f.write(self.dumps(value))

    def load(self, f: Any) -> Any:
        """Read a value from a file."""
        return self.loads(f.read())


class PackedSimpleCache(SimpleCache):
    """A cache in the memory of this process."""

    serializer = PackedSerializer()  # type: ignore[assignment]


class PackedFileCache(FileSystemCache):
    """A cache in files."""

    serializer = PackedSerializer()  # type: ignore[assignment]

    def set(self, key: str, value: Any, timeout: Any = None, mgmt_element: bool = False) -> bool:
        """Store `value`. `mgmt_element` is True for cachelib's own count of files. Raises OSError if the disk fails.

        cachelib's own method reads the file's status after it is in place, and logs a traceback if another process has
        deleted the file meanwhile.
        """
        if not mgmt_element:
            self._prune()
        filename = self._get_filename(key)
        is_new = not os.path.isfile(filename)
        seconds = 0 if mgmt_element else self._normalize_timeout(timeout)
        self._put_in_place(filename, struct.pack("I", seconds) + self.serializer.dumps(value))
        if is_new and not mgmt_element:
            self._update_count(delta=1)
        return True

    def _put_in_place(self, filename: str, content: bytes) -> None:
        handle, temporary = tempfile.mkstemp(suffix=self._fs_transaction_suffix, dir=self._path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, filename)
        except OSError:
            os.unlink(temporary)
            raise


class SharedRedisCache(RedisCache):
    """A cache in Redis, which uses the application's own client."""

    serializer = PackedSerializer()  # type: ignore[assignment]

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> "SharedRedisCache":
        """See Flask-Caching."""
        options = kwargs | {"host": app.extensions["redis"], "key_prefix": config["CACHE_KEY_PREFIX"]}
        return cls(*args, **options)

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store `value` with its time limit, unless the key exists. Return True if it was stored.

        cachelib sets the time limit by a second command, which may fail.
        """
        seconds = self._normalize_timeout(timeout)
        name, packed = f"{self._get_prefix()}{key}", self.serializer.dumps(value)
        return bool(self._write_client.set(name, packed, nx=True, ex=seconds if seconds > 0 else None))

    def delete_if_equal(self, key: str, value: Any) -> bool:
        """Delete the key in one step if it has `value`. Return True if it was deleted."""
        packed = self.serializer.dumps(value)
        return cast(int, self._write_client.eval(DELETE_IF_EQUAL, 1, f"{self._get_prefix()}{key}", packed)) > 0
