# SPDX-License-Identifier: Apache-2.0
"""What the library says of itself, and redcol_schema_new: columns written as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ctypes import addressof, byref, c_void_p

import pyarrow as pa
import pytest
from statuses import HEADER, STATUSES, Reading, call, free, opening

import arrow_structs
from redcol import _native
from servers import Server

#: Texts, and the columns that they make: names, Arrow formats, and the format of a dictionary.
GOOD = {
    "": [],
    " \n ": [],
    "value:l,name:vu": [("value", "l", None), ("name", "vu", None)],
    "a:b, b:c ,\n\tc:C\n": [("a", "b", None), ("b", "c", None), ("c", "C", None)],
    "t:u,T:U,v:vu,z:z,Z:Z,y:vz": [
        *[("t", "u", None), ("T", "U", None), ("v", "vu", None)],
        *[("z", "z", None), ("Z", "Z", None), ("y", "vz", None)],
    ],
    "at:tsm:Europe/Berlin,other:tsu:+02:00,none:tsn:": [
        *[("at", "tsm:Europe/Berlin", None), ("other", "tsu:+02:00", None), ("none", "tsn:", None)]
    ],
    "price:d:9,2,name:vu": [("price", "d:9,2", None), ("name", "vu", None)],
    "price:d:9,2,128,128:l": [("price", "d:9,2", None), ("128", "l", None)],
    "price:d:9,2,128:l": [("price", "d:9,2", None), ("128", "l", None)],
    "price:d:38,0": [("price", "d:38,0", None)],
    "a:d:9,2 , b:d:5,1": [("a", "d:9,2", None), ("b", "d:5,1", None)],
    "color:I{vu},n:l": [("color", "I", "vu"), ("n", "l", None)],
    "color:c{u},n:S{U } , m:l": [("color", "c", "u"), ("n", "S", "U"), ("m", "l", None)],
    r"a\:b\,c\\:l": [("a:b,c" + chr(92), "l", None)],
    r"\ space:l": [(" space", "l", None)],
    ":l": [("", "l", None)],
    "größe:g": [("größe", "g", None)],
}
BAD = {
    "value": 'no ":"',
    "value,name:vu": 'Column 0 of the schema has no ":"',
    "a:l,": 'Column 1 of the schema has no ":"',
    ",a:l": 'Column 0 of the schema has no ":"',
    "a:": "format",
    "a:int64": '"a"',
    "a:+l": '"+l" is not supported',
    "a:l,b:+s": 'Column 1 ("b")',
    "a:d:9": '"d:9" is not supported',
    "a:d:99,2": '"d:99,2" is not supported',
    "a:d:": "not supported",
    "a:tsm": "not supported",
    "a:I{vu": '"{" without a "}"',
    "a:I{l}": "dictionaries of strings",
    "a:g{vu}": "dictionaries of strings",
    "a:I{vu}b:l": "followed by something other",
    "a:l,a:vu": 'two columns named "a"',
    "a\\": "no",
    "a:l\\": 'a "\\" ends the text',
}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = _native.live_objects()
    yield
    assert _native.live_objects() == before


def made(text: str) -> tuple[int, pa.Schema | None, str, list[tuple[str, str, str | None]]]:
    """The status of redcol_schema_new, what pyarrow takes it for, the message, the columns."""
    schema, error = arrow_structs.ArrowSchema(), c_void_p()
    library = _native.library()
    status = library.redcol_schema_new(text.encode(), byref(schema), byref(error))
    message = library.redcol_error_message(error).decode()
    free(error)
    columns = []
    for index in range(schema.n_children):
        child = schema.children[index].contents
        values = child.dictionary.contents.format.decode() if child.dictionary else None
        columns.append((child.name.decode(), child.format.decode(), values))
        assert child.flags == 2, "each may be null"
    taken = pa.Schema._import_from_c(addressof(schema)) if status == 0 else None
    return status, taken, message, columns


@pytest.mark.parametrize("text", list(GOOD))
def test_columns(text: str) -> None:
    status, schema, message, columns = made(text)
    assert (status, message) == (0, "")
    assert schema is not None
    assert columns == GOOD[text]
    assert schema.names == [name for name, _, _ in columns]


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_is_named(text: str) -> None:
    status, _, message, _ = made(text)
    assert status == STATUSES["SCHEMA"]
    assert BAD[text] in message


def test_a_read_with_it() -> None:
    with Server() as server, server.client() as db:
        db.xadd("s", {"value": 7, "a:b": "x", "at": "2024-01-01T00:00:00Z", "other": 1})
        reading = Reading(server.url)
        schema = arrow_structs.ArrowSchema()
        text = rb"value:l, a\:b:vu, at:tsm:UTC"
        assert call("redcol_schema_new", text, byref(schema)) == 0
        assert reading.start(byref(schema)) == 0
        array, found = arrow_structs.ArrowArray(), arrow_structs.ArrowSchema()
        status = call("redcol_iter_next", reading.iter, -1, byref(found), byref(array))
        assert status == 0
        batch = pa.RecordBatch._import_from_c(addressof(array), addressof(found))
        row = batch.to_pylist()[0]
        assert (row["value"], row["a:b"]) == (7, "x")
        assert row["at"].isoformat() == "2024-01-01T00:00:00+00:00"
        pa.Schema._import_from_c(addressof(schema))  # releases it
        reading.free()


def test_names_of_statuses() -> None:
    name = _native.library().redcol_status_name
    for known, number in re.findall(r"^  (REDCOL_[A-Z_]+) = (-?\d+),? ", HEADER, re.MULTILINE):
        if not known.startswith("REDCOL_LOG_"):
            assert name(int(number)) == known.encode()
    for number in (3, 1_000_000, -1_000, -(2**31), 2**31 - 1):
        assert name(number) == b"unknown status"


def test_a_feature_is_what_the_library_does() -> None:
    feature = _native.library().redcol_feature
    has_tls = opening("rediss://localhost:1") != STATUSES["UNSUPPORTED"]
    assert feature(b"tls") == has_tls
    assert [feature(name) for name in (None, b"", b"TLS", b"no such")] == [0, 0, 0, 0]
