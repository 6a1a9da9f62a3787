# SPDX-License-Identifier: Apache-2.0
"""What type checkers, editors and libraries like pydantic learn of the public functions."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

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


def test_every_parameter_has_a_name() -> None:
    free = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    for name in redcol.__all__:
        thing = getattr(redcol, name)
        if not inspect.isclass(thing):
            parameters = inspect.signature(thing).parameters.values()
            assert not free & {each.kind for each in parameters}, name


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
    assert batches.pop("batch_timeout_ms") == batches["block_ms"]
    assert {**batches, "return": None} == {**hints, "return": None}


USER_CODE = Path(__file__).with_name("user_code.py")
SOURCES = Path(redcol.__file__).parents[1]


def lines_that_mypy_finds(cache: Path) -> set[int]:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}"]
    done = subprocess.run(
        [*command, "--python-version=3.10", str(USER_CODE)],
        env={**os.environ, "MYPYPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stderr == ""
    return {int(line) for line in re.findall(r"user_code\.py:(\d+): error:", done.stdout)}


def lines_that_pyright_finds(folder: Path) -> set[int]:
    settings = {
        "include": [USER_CODE.name],
        "extraPaths": [str(SOURCES)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.10",
    }
    shutil.copy(USER_CODE, folder)
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(folder)]
    done = subprocess.run(
        [*command, "--pythonpath", sys.executable], capture_output=True, text=True, timeout=300
    )
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == 1, done.stderr
    return {each["range"]["start"]["line"] + 1 for each in found["generalDiagnostics"]}


@pytest.mark.parametrize("find", [lines_that_mypy_finds, lines_that_pyright_finds])
def test_type_checkers_find_what_is_wrong_and_nothing_else(
    tmp_path: Path, find: Callable[[Path], set[int]]
) -> None:
    lines = USER_CODE.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) > 30
    assert find(tmp_path) == wrong
