# SPDX-License-Identifier: Apache-2.0
"""The options of the data source: texts that Spark hands over, checked before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from .. import _arguments, client
from ..client import DEFAULT_TIMEOUT_MS, Client
from ..errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_INT32_MAX: Final = 2**31 - 1
#: What Spark itself puts among the options of a source or a sink.
_SPARKS_OWN: Final = ("checkpointlocation", "queryname", "outputmode", "recursivefilelookup")


@dataclass(frozen=True, repr=False)
class Settings:
    """What the options say. Its repr shows no option, since one may be a secret."""

    url: str
    # How the server is reached: arguments of `redcol.connect`.
    password_file: str | None = None
    client_name: str | None = None
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    answer_timeout_ms: int | None = None
    keepalive_ms: int | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    read_from: str | None = None
    address_map: str | None = None
    ssl_ca_certs: str | None = None
    ssl_ca_path: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: str | None = None
    ssl_cert_reqs: str | None = None
    ssl_check_hostname: bool | None = None
    ssl_min_version: str | None = None
    # Which entries are read.
    stream: str | None = None
    start_id: str | None = None
    end_id: str | None = None
    if_missing: str = "empty"
    # How they are read.
    rows_per_partition: int = 1_000_000
    batch_size: int = 16_384
    on_error: str = "raise"
    missing_field: str = "null"
    # Streaming.
    starting_offsets: str = "latest"
    max_entries_per_trigger: int | None = None
    fail_on_data_loss: bool = True
    # Writing: arguments of `redcol.write_stream`.
    stream_column: str | None = None
    id_column: str | None = None
    maxlen: int | None = None
    min_id: str | None = None
    approximate: bool = True
    metadata: str = "check"
    idempotent: bool = False

    def connect(self) -> Client:
        """A connection of this process."""
        names: dict[str, Any] = {name: getattr(self, name) for name in _CONNECTING}
        return client.connect(self.url, **names, address_map=self._addresses())

    def _addresses(self) -> dict[str, str] | None:
        if self.address_map is None:
            return None
        pairs = [pair.partition("=") for pair in self.address_map.split(",")]
        if not all(named.strip() and equals for named, equals, _ in pairs):
            raise InvalidArgumentError(
                "option address_map must be addresses such as 10.0.0.1:7000=127.0.0.1:17000, "
                "separated by commas."
            )
        return {named.strip(): reached.strip() for named, _, reached in pairs}

    def keys_or_pattern(self) -> str | list[str]:
        """The streams that are named, or the pattern of their keys."""
        given = self.stream or ""
        if "," in given:
            keys = [key.strip() for key in given.split(",")]
            if not all(keys):
                raise InvalidArgumentError(f"option stream {given!r} has a key without a name.")
            _arguments.distinct_keys("option stream", keys)
            return keys
        return given if any(letter in given for letter in "*?[\\") else [given]

    def entry_options(self) -> dict[str, str]:
        """The options of the library for writing entries."""
        found = {"metadata": self.metadata}
        if self.maxlen is not None or self.min_id is not None:
            found["approximate"] = _arguments.flag("approximate", self.approximate)
        for name in ("id_column", "stream_column", "maxlen", "min_id"):
            if (value := getattr(self, name)) is not None:
                found[name] = str(value)
        return found

    def start(self) -> str:
        """Where the streams begin to be read, for the library."""
        return _arguments.range_end("start_id", self.start_id or "-")

    def end(self) -> str:
        """Where they end."""
        return _arguments.range_end("end_id", self.end_id or "+")

    def __repr__(self) -> str:
        return "<options of redcol>"


_CONNECTING: Final = (
    *("password_file", "client_name", "connect_timeout_ms", "timeout_ms", "answer_timeout_ms"),
    *("keepalive_ms", "sentinel_username", "sentinel_password", "read_from", "ssl_ca_certs"),
    *("ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs"),
    *("ssl_check_hostname", "ssl_min_version"),
)
_NUMBERS: Final = {
    "connect_timeout_ms": (1, _INT32_MAX),
    "timeout_ms": (1, _INT32_MAX),
    "answer_timeout_ms": (1, _INT32_MAX),
    "keepalive_ms": (0, _INT32_MAX),
    "rows_per_partition": (1, 2**62),
    "batch_size": (1, _INT32_MAX),
    "max_entries_per_trigger": (1, 2**62),
    "maxlen": (0, 2**62),
}
_FLAGS: Final = ("ssl_check_hostname", "fail_on_data_loss", "approximate", "idempotent")
_WORDS: Final = {
    "if_missing": ("empty", "raise"),
    "on_error": ("raise", "null", "skip"),
    "missing_field": ("null", "raise"),
    "metadata": ("check", "omit", "write"),
}
#: Options that have a meaning only in one of these places.
_ONLY: Final = {
    "spark.read": ("start_id", "end_id", "if_missing"),
    "spark.readStream": ("starting_offsets", "max_entries_per_trigger", "fail_on_data_loss"),
    "a sink": (
        *("stream_column", "id_column", "maxlen", "min_id", "approximate", "metadata"),
        "idempotent",
    ),
}
_ANY_SOURCE: Final = ("rows_per_partition", "batch_size", "on_error", "missing_field")


def check(options: Mapping[str, str]) -> None:
    """Refuse options that cannot be right, whether they are of a source or a sink."""
    given = dict(_named(options))
    if not given.get("url"):
        raise InvalidArgumentError('option url is missing, such as "redis://localhost".')
    settings = Settings(**given)
    settings.keys_or_pattern()
    settings.start()
    settings.end()
    starting_moment(settings.starting_offsets)
    if settings.idempotent and settings.stream is not None:
        fence_key(settings.stream, "")
    if settings.min_id is not None:
        _arguments.entry_id("min_id", settings.min_id)


def read(options: Mapping[str, str], place: str) -> Settings:
    """The settings that options ask for. `place`: a key of `_ONLY`, or "a source".

    Options may be written in Spark's way (``rowsPerPartition``) or in redcol's
    (``rows_per_partition``).
    """
    check(options)
    given = dict(_named(options))
    for other, names in _ONLY.items():
        is_other = other != place and (place != "a source" or other == "a sink")
        for name in given.keys() & names if is_other else ():
            raise InvalidArgumentError(f"option {name} is for {other}.")
    settings = Settings(**given)
    if place == "a sink":
        _check_sink(settings, given)
        return settings
    if settings.stream is None or not settings.stream:
        raise InvalidArgumentError(
            "option stream is missing: a key, keys separated by commas, or a pattern of keys."
        )
    return settings


def _check_sink(settings: Settings, given: Mapping[str, Any]) -> None:
    for name in given.keys() & _ANY_SOURCE:
        raise InvalidArgumentError(f"option {name} is for a source.")
    if (settings.stream is None) == (settings.stream_column is None):
        raise InvalidArgumentError(
            "a sink needs option stream, the key to write to, or option stream_column, the column "
            "of each row's key: one of the two."
        )
    if settings.idempotent and settings.stream is None:
        raise InvalidArgumentError(
            "option idempotent needs option stream: rows that go to several streams are written at "
            "least once."
        )


def fence_key(stream: str, writer: str) -> str:
    """The hash that says how far a writer has come, in the slot of the stream."""
    start = stream.find("{")
    end = stream.find("}", start) if start >= 0 else -1
    if end > start + 1:
        return f"redcol:fence:{stream[start : end + 1]}:{stream}:{writer}"
    if "}" in stream:
        raise InvalidArgumentError(
            f"option idempotent: no other key can be in the slot of the stream {stream!r}."
        )
    return f"redcol:fence:{{{stream}}}:{writer}"


def starting_moment(text: str) -> str:
    """``startingOffsets``: "earliest", "latest", or an id of the library for a time."""
    if text.lower() in ("earliest", "latest"):
        return text.lower()
    try:
        return _arguments.range_end("startingOffsets", text)
    except InvalidArgumentError:
        raise InvalidArgumentError(
            f"option startingOffsets {text!r} must be earliest, latest, an entry id, or a time: "
            "milliseconds since 1970, or ISO text such as 2024-01-01T12:00:00Z."
        ) from None


def _named(options: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    known = {field.name.replace("_", ""): field.name for field in fields(Settings)}
    seen = set()
    for written, text in options.items():
        plain = written.lower().replace("_", "")
        if plain in _SPARKS_OWN:
            continue
        if plain == "path":
            raise InvalidArgumentError("load() takes no path: name the stream with option stream.")
        name = known.get(plain)
        if name is None:
            near = difflib.get_close_matches(plain, known, 1)
            hint = f" Did you mean {known[near[0]]}?" if near else ""
            raise InvalidArgumentError(f"redcol has no option {written!r}.{hint}")
        if name in seen:
            raise InvalidArgumentError(f"option {name} is given twice.")
        seen.add(name)
        yield name, _value(name, text)


def _value(name: str, text: str) -> str | int | bool:
    if name in _FLAGS:
        if text.lower() not in ("true", "false"):
            raise InvalidArgumentError(f"option {name} must be true or false, not {text!r}.")
        return text.lower() == "true"
    if name in _NUMBERS:
        least, most = _NUMBERS[name]
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise InvalidArgumentError(
                f"option {name} must be a whole number from {least} to {most}, not {text!r}."
            )
        return int(text)
    if name in _WORDS:
        return _arguments.one_of(f"option {name}", text, _WORDS[name])
    return _arguments.text(f"option {name}", text, show=False)
