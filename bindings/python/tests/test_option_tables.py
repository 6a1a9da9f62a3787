# SPDX-License-Identifier: Apache-2.0
"""Options exist once, in the core's tables: redcol.h, signatures and docstrings say the same."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import redcol
from redcol import _native
from redcol.client import Server as Where

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))

import option_tables
from option_tables import Option

TABLES = {
    table: {option.name: option for option in options}
    for table, options in option_tables.tables().items()
}

#: The public functions, and the tables whose options they have as parameters.
FUNCTIONS = {
    "connect": ("ClientOption",),
    "ack_entries": ("ClientOption",),
    **dict.fromkeys(
        ("create_group", "delete_group", "seek_group", "delete_consumer", "release"),
        ("ClientOption",),
    ),
    "delete_entries": ("ClientOption",),
    "claim": ("ClientOption",),
    "trim_stream": ("EntryOption", "ClientOption"),
    "read_stream": ("ReadOption", "ClientOption"),
    "scan_stream": ("ReadOption", "ClientOption"),
    "export_stream": ("ReadOption", "ClientOption"),
    "iter_stream": ("ReadOption", "ClientOption"),
    "stream_batches": ("ReadOption", "ClientOption"),
    "iter_pubsub": ("SubscribeOption", "ClientOption"),
    "iter_pubsub_async": ("SubscribeOption", "ClientOption"),
    "collect_pubsub": ("SubscribeOption", "ClientOption"),
    "read_arrow": ("ReadOption", "ClientOption"),
    "read_streams": ("ReadOption", "ClientOption"),
    "scan_streams": ("ReadOption", "ClientOption"),
    "infer_schema": ("ClientOption",),
    "write_stream": ("EntryOption", "ClientOption"),
    "write_hashes": ("HashOption", "ClientOption"),
    "publish": ("PublishOption", "ClientOption"),
    "list_streams": ("ClientOption",),
    "partitions": ("PartitionOption", "ClientOption"),
    "list_groups": ("ListOption", "ClientOption"),
    "list_consumers": ("ClientOption",),
    "list_pending": ("ListOption", "ClientOption"),
}
#: Parameters that are called otherwise than their options. Those of the functions for many streams
#: are called as in polars-redis, where `key_column` is about keys of streams.
NAMES = {
    "batch_size": "batch_rows",
    "count_hint": "scan_count",
    "ttl": "ttl_ms",
    "batch_timeout_ms": "block_ms",
    "id_column_name": "id_column",
    "timestamp_column_name": "timestamp_column",
    "sequence_column_name": "sequence_column",
}
#: `batch_size` there is a number of streams; `counts` is a dict for what is counted.
NAMES_OF_PUBSUB = {"batch_size": "batch_rows", "batch_timeout_ms": "batch_ms"}
#: There it is for how long messages are collected, as in polars-redis.
NAMES_OF_COLLECTING = {"timeout_ms": "window_ms"}
NAMES_OF_MANY = {**NAMES, "batch_size": "streams_at_once", "key_column": "stream_column"}
#: Options that no function of Python has under their name: redcol sets them itself, or what they do
#: is done in Python's way.
WITHOUT_PARAMETER = {
    "page_rows",  # left to the core
    "columns_max",  # left to the core
    "connect",  # which asynchronous iterators do later
    "field:N",  # from the schema of a frame that was read
    "categories:N",  # from the dtype, an Enum
    "reserved",  # from the columns that scans add
    "discovered",  # for scans, which look for columns first
    "count_wrong_types",  # with `counts`
    *("fence_key", "fence_field", "fence_epoch", "fence_row"),  # redcol.spark sets them
    "timestamp_format",  # from `timestamp_dtype`
    "entries",  # redcol.spark sets it
}
#: Defaults that are others in Python than in the core, and why.
OTHER_DEFAULTS = {
    # Frames come while they are being filled, and a loop must end some time.
    ("iter_stream", "batch_size"): 100,
    ("stream_batches", "batch_size"): 100,
    # What the core does by default with "follow" and "on_idle" "wait".
    ("iter_stream", "block_ms"): 1000,
    ("stream_batches", "block_ms"): 1000,
    ("stream_batches", "batch_timeout_ms"): 1000,
    # As in polars-redis.
    ("iter_pubsub", "batch_size"): 100,
    ("iter_pubsub_async", "batch_size"): 100,
    ("iter_pubsub", "batch_timeout_ms"): 1000,
    ("iter_pubsub_async", "batch_timeout_ms"): 1000,
    # A group's export needs one, and is usually its only member.
    ("export_stream", "consumer"): "export",
    # An iterator runs for long: what a member that has gone away held comes to another.
    ("iter_stream", "claim_idle_ms"): 300_000,
    ("stream_batches", "claim_idle_ms"): 300_000,
}


def names_of(function: str) -> dict[str, str]:
    if function == "collect_pubsub":
        return NAMES_OF_COLLECTING
    if "pubsub" in function:
        return NAMES_OF_PUBSUB
    return NAMES_OF_MANY if function in ("read_streams", "scan_streams") else NAMES


def options_of(function: str) -> dict[str, Option]:
    """The options among a function's parameters, by the parameter's name."""
    known: dict[str, Option] = {}
    for table in reversed(FUNCTIONS[function]):
        known |= TABLES[table]
    names = names_of(function)
    found = {}
    for parameter in inspect.signature(getattr(redcol, function)).parameters:
        name = names.get(parameter, parameter)
        if name in known:
            found[parameter] = known[name]
    return found


PARAMETERS = [(function, parameter) for function in FUNCTIONS for parameter in options_of(function)]


def test_every_public_function_with_options_is_looked_at() -> None:
    public = {name for name in redcol.__all__ if inspect.isfunction(getattr(redcol, name))}
    every = {name for rows in TABLES.values() for name in rows}
    for function in public - set(FUNCTIONS):
        assert not every & set(inspect.signature(getattr(redcol, function)).parameters), function
    assert set(FUNCTIONS) <= public


@pytest.mark.parametrize("table", list(TABLES))
def test_the_header_lists_the_options_of_the_core(table: str) -> None:
    listed = option_tables.listed()[option_tables.PLACES[table]]
    names = [option.name for option in listed]
    assert len(set(names)) == len(names)
    assert {option.name: option for option in listed} == TABLES[table]


def test_the_header_lists_options_nowhere_else() -> None:
    assert set(option_tables.listed()) == set(option_tables.PLACES.values())


def test_the_tables_that_are_read_are_those_of_the_library() -> None:
    """The core itself says which options it has, and what it wants of each value."""
    for name, option in TABLES["ClientOption"].items():
        with pytest.raises(redcol.errors.InvalidArgumentError) as unknown:
            _native.open_client(Where("unix:///nowhere"), {"?": ""})
        assert set(str(unknown.value).partition("; there are ")[2].split(", ")) == set(
            TABLES["ClientOption"]
        )
        if not option.range and not option.words:
            continue  # any text will do
        with pytest.raises(redcol.errors.InvalidArgumentError) as wrong:
            _native.open_client(Where("rediss://localhost:1"), {name: "?"})
        if option.range:
            assert f"a whole number from {option.range[0]} to {option.range[1]}" in str(wrong.value)
        for word in option.words:
            assert f'"{word}"' in str(wrong.value)


def test_every_option_has_a_parameter_or_a_reason() -> None:
    for table, rows in TABLES.items():
        used = {
            names_of(function).get(parameter, parameter)
            for function, parameter in PARAMETERS
            if table in FUNCTIONS[function]
        }
        assert set(rows) - used == set(rows) & WITHOUT_PARAMETER, table


def in_python(option: Option) -> object:
    """The default of an option as Python has it."""
    if option.default is None:
        return None
    if option.values == "boolean":
        return option.default == "true"
    return int(option.default) if option.range else option.default


@pytest.mark.parametrize(("function", "parameter"), PARAMETERS)
def test_defaults_are_those_of_the_core(function: str, parameter: str) -> None:
    default = inspect.signature(getattr(redcol, function)).parameters[parameter].default
    option = options_of(function)[parameter]
    if (function, parameter) in OTHER_DEFAULTS:
        assert default == OTHER_DEFAULTS[function, parameter]
        assert default != in_python(option), "it does not differ: take it out of OTHER_DEFAULTS"
    else:
        # None leaves an option out, and then the core's default holds.
        assert default in (None, in_python(option))
        assert type(default) in (type(None), type(in_python(option)))


def words_of(function: str, parameter: str) -> set[str]:
    """The words that a parameter's type allows."""
    hint = typing.get_type_hints(getattr(redcol, function))[parameter]
    literals = [
        one for one in (hint, *typing.get_args(hint)) if typing.get_origin(one) is typing.Literal
    ]
    return {word for literal in literals for word in typing.get_args(literal)}


def test_types_allow_the_words_of_the_core() -> None:
    for table, rows in TABLES.items():
        for name, option in rows.items():
            allowed: set[str] = set()
            for function, parameter in PARAMETERS:
                if table in FUNCTIONS[function] and options_of(function)[parameter] is option:
                    words = words_of(function, parameter) if option.words else set()
                    assert words <= option.words, (function, parameter)
                    allowed |= words
            if name not in WITHOUT_PARAMETER:
                assert allowed == option.words, name


def documented(function: Callable[..., Any]) -> dict[str, str]:
    """What a docstring says of each parameter; "as in" another function says what that one says."""
    found: dict[str, str] = {}
    part = (inspect.getdoc(function) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
    for names, text in re.findall(r"^    (\w+(?:, \w+)*): ((?:.*\n?(?: {8}.*\n?)*))", part, re.M):
        for name in names.split(", "):
            found[name] = " ".join(text.split())
    for name, text in found.items():
        other = re.match(r"as in :func:`(?:redcol\.)?(\w+)`", text)
        if other:
            elsewhere = documented(getattr(redcol, other[1]))
            found[name] = f"{text} {elsewhere.get(name, '')}"
    return found


@pytest.mark.parametrize("function", list(FUNCTIONS))
def test_docstrings_say_what_there_is(function: str) -> None:
    signature = inspect.signature(getattr(redcol, function))
    said = documented(getattr(redcol, function))
    assert list(said) == list(signature.parameters)
    for parameter, option in options_of(function).items():
        if option.words:
            for word in words_of(function, parameter):
                assert f'"{word}"' in said[parameter], (parameter, word)
        if signature.parameters[parameter].default is None and option.range and option.default:
            number = int(option.default)
            shown = "1 GiB" if number == 2**30 else f"{number:,}"
            assert number == 0 or shown in said[parameter], parameter
