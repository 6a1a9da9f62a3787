# SPDX-License-Identifier: Apache-2.0
"""The files of an export: what is there already, and how a new one appears whole or not at all.

A file is written under a temporary name, synced, and renamed; then its folder is synced. Its name
has the stream, the first and the last entry id, so that the names alone say what is there. Both
numbers of an id have 20 digits, so that names sort as ids do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

from ._typing import TYPE_CHECKING, pl
from .errors import BusyError, InvalidArgumentError

if TYPE_CHECKING:
    from typing import Final

_TEMPORARY: Final = ".redcol-"
_SEQUENCE_MAX: Final = (1 << 64) - 1
#: The longest beginning of a file's name; a name may have 255 bytes.
_NAME_MAX: Final = 80


class Part:
    """A file that is there, with the keys of its first and its last entry."""

    __slots__ = ("first", "last", "path")

    def __init__(self, path: str, first: str, last: str) -> None:
        self.path = path
        self.first = first
        self.last = last


class Folder:
    """The folder of one export. Only one export at a time writes into it."""

    def __init__(self, path: str, stream: bytes, ending: str) -> None:
        self.path = path
        self._name = file_name(stream)
        self._ending = ending
        self._parts: list[Part] = []
        self._lock = -1

    def __enter__(self) -> Folder:
        _make_folder(self.path)
        self._lock = _locked(self.path)
        try:
            remove_leftovers(self.path)
            self._parts = sorted(self._found(), key=lambda part: part.first)
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    @property
    def last(self) -> str | None:
        """The key of the last entry that is in a file."""
        return max((part.last for part in self._parts), default=None)

    def covering(self, first: str, last: str) -> list[Part]:
        """The files that may have an entry between these two."""
        return [part for part in self._parts if part.first <= last and part.last >= first]

    def temporary(self) -> str:
        """Where the next file is written."""
        return temporary(self.path, self._name)

    def add(self, written: str, partition: str | None, first: str, last: str) -> str:
        """Give a file that was written its name. Returns its path."""
        folder = self.path if partition is None else os.path.join(self.path, partition)
        if partition is not None and not os.path.isdir(folder):
            os.mkdir(folder)
            sync(self.path)
        path = os.path.join(folder, f"{self._name}_{first}_{last}{self._ending}")
        publish(written, path)
        self._parts.append(Part(path, first, last))
        return path

    def _found(self) -> Iterator[Part]:
        import re

        name = re.compile(
            rf"{re.escape(self._name)}_(\d{{20}}-\d{{20}})_(\d{{20}}-\d{{20}})\.(\w+)"
        )
        for folder, _, files in os.walk(self.path):
            for file in files:
                if (match := name.fullmatch(file)) is None:
                    continue
                if f".{match[3]}" != self._ending:
                    raise InvalidArgumentError(
                        f"{folder} has files of this stream that end in .{match[3]}, and the new "
                        f"ones would end in {self._ending}: export into another folder."
                    )
                yield Part(os.path.join(folder, file), match[1], match[2])


def key(entry_id: str) -> str:
    """An entry id with 20 digits for each number: such keys sort as the ids do.

    The server takes milliseconds alone as the id whose sequence number is 0.
    """
    milliseconds, _, sequence = entry_id.partition("-")
    return f"{int(milliseconds):020}-{int(sequence or 0):020}"


def entry_id(key: str) -> str:
    """The entry id of a key."""
    milliseconds, _, sequence = key.partition("-")
    return f"{int(milliseconds)}-{int(sequence)}"


def before(position: str) -> str:
    """The position after which a read begins that shall have the entry at `position` too."""
    if position in ("-", "+", "$"):
        return position
    if position.startswith("("):
        return position[1:]
    milliseconds, _, second = position.partition("-")
    sequence = int(second or 0)
    if sequence > 0:
        return f"{milliseconds}-{sequence - 1}"
    return f"{int(milliseconds) - 1}-{_SEQUENCE_MAX}" if int(milliseconds) > 0 else "-"


def file_name(stream: bytes) -> str:
    """A stream's key as the beginning of a file's name."""
    from urllib.parse import quote

    name = quote(stream, safe=":=@+,")
    if name.startswith((".", "_")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _NAME_MAX:
        from hashlib import sha256

        name = f"{name[: _NAME_MAX - 17]}~{sha256(stream).hexdigest()[:16]}"
    return name


def temporary(folder: str, name: str) -> str:
    """A path for a file that is being written."""
    return os.path.join(folder, f"{_TEMPORARY}{name}-{os.getpid()}.tmp")


def remove_leftovers(folder: str, name: str = "") -> None:
    """Remove what an export has begun and not finished, because it was killed."""
    for file in os.listdir(folder):
        if file.startswith(_TEMPORARY + name) and file.endswith(".tmp"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, file))


def publish(written: str, path: str, *, replace: bool = False) -> None:
    """Give a file its name, once all of it is on the disk."""
    descriptor = os.open(written, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not replace and os.path.exists(path):
        raise InvalidArgumentError(f"There is a file {path} already.")
    os.rename(written, path)
    sync(os.path.dirname(path) or ".")


def sync(folder: str) -> None:
    """Wait until a folder's names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(path: str) -> None:
    missing: list[str] = []
    folder = os.path.abspath(path)
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
        sync(os.path.dirname(folder))


def _locked(path: str) -> int:
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(
            f"Another export writes into {path}: each that runs needs a folder of its own."
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def known_ids(parts: Iterable[Part], ids: pl.Series) -> pl.Series:
    """Those of these ids that are in one of the files."""
    import polars as pl

    readers: dict[str, Callable[[str], pl.LazyFrame]] = {
        ".parquet": lambda path: pl.scan_parquet(path, glob=False),
        ".csv": lambda path: pl.scan_csv(path, glob=False, infer_schema=False),
        ".jsonl": lambda path: pl.scan_ndjson(path, schema={"_id": pl.String}),
        ".arrow": pl.scan_ipc,
    }
    found = [ids.clear()]
    for part in parts:
        scan = readers[os.path.splitext(part.path)[1]](part.path)
        there = pl.col("_id").is_in(ids.implode())
        found.append(scan.select("_id").filter(there).collect()["_id"])
    return pl.concat(found)
