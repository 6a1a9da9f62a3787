# SPDX-License-Identifier: Apache-2.0
"""What type checkers, editors and libraries like pydantic learn of the public functions."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

import redcol


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in redcol.__all__:
        thing = getattr(redcol, name)
        if not inspect.isclass(thing):
            yield name, thing
            continue
        for attribute, value in inspect.getmembers(thing):
            if isinstance(value, property):
                value = value.fget
            if inspect.isfunction(value) and value.__module__.startswith("redcol"):
                yield f"{name}.{attribute}", value


def test_every_annotation_can_be_looked_up() -> None:
    looked_at = dict(public())
    assert {"read_stream", "StreamIterator.ack", "Client.close", "Stats._replace"} - set(
        looked_at
    ) == {"Stats._replace"}
    for name, function in looked_at.items():
        hints = typing.get_type_hints(function)
        parameters = inspect.signature(function).parameters
        missing = [each for each in parameters if each not in hints and each != "self"]
        assert missing == [], name
        assert "return" in hints, name


def test_classes_too() -> None:
    for name in redcol.__all__:
        thing = getattr(redcol, name)
        if inspect.isclass(thing):
            typing.get_type_hints(thing)
    assert typing.get_type_hints(redcol.Stats)["delivered"] is int


def test_they_are_the_real_types() -> None:
    assert typing.get_type_hints(redcol.read_stream)["return"] is pl.DataFrame
    assert typing.get_type_hints(redcol.scan_stream)["return"] is pl.LazyFrame
    assert typing.get_type_hints(redcol.write_stream)["return"] is pl.Series
    hints = typing.get_type_hints(redcol.iter_stream)
    assert hints["return"] is redcol.StreamIterator
    assert set(typing.get_args(hints["on_idle"])) == {"wait", "stop", "empty"}
    batches = typing.get_type_hints(redcol.stream_batches)
    assert batches["return"] is redcol.AsyncStreamIterator
    assert {**batches, "return": None} == {**hints, "return": None}
