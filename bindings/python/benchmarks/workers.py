# SPDX-License-Identifier: Apache-2.0
"""The processes in which contestants run, and what all benchmarks do before they start."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Worker:
    """A contestant's process: answers every line with one of JSON."""

    def __init__(self, *command: str) -> None:
        self._command = " ".join(command)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def ask(self, request: str = "") -> dict[str, Any]:
        self.begin(request)
        return self.answer()

    def begin(self, request: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command} ended with {self._process.wait()}")
        return dict(json.loads(line))

    def end(self) -> None:
        """Let it end by itself: it may have processes of its own, and files to delete."""
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.stop()

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def refuse_debug_build() -> None:
    """Debug builds are several times slower. Only they load Swift's runtime from the toolchain."""
    library = os.environ.get("REDCOL_LIBRARY")
    if library is None:
        return  # a wheel's library, which is always a release build
    dynamic = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True)
    if "debug" in Path(library).resolve().parts or "libswiftCore" in dynamic.stdout:
        sys.exit(f"{library} is a debug build; its times say nothing. Use `make bench`.")


def compile_floor(source: str, directory: str, *options: str) -> str:
    """Compile the C program that says what a task costs at the least; gives its path."""
    program = f"{directory}/{Path(source).stem}"
    subprocess.run(["cc", "-O2", "-o", program, str(HERE / source), *options], check=True)
    return program


def parse_arguments(
    documentation: str | None,
    arguments: Sequence[str] | None,
    entries_small: int,
    unit: str = "entries",
) -> tuple[int, int]:
    """How many entries, or what they are called, and rounds a benchmark is to take."""
    parser = argparse.ArgumentParser(description=(documentation or "").splitlines()[0])
    entries_default = int(os.environ.get("REDCOL_BENCH_ENTRIES", "1000000"))
    rounds_default = int(os.environ.get("REDCOL_BENCH_ROUNDS", "9"))
    parser.add_argument(f"--{unit}", dest="entries", type=int, default=entries_default)
    parser.add_argument("--rounds", type=int, default=rounds_default)
    help_text = f"{entries_small:,} {unit}, 1 round: does it run?"
    parser.add_argument("--small", action="store_true", help=help_text)
    options = parser.parse_args(arguments)
    if options.small:
        return entries_small, 1
    return options.entries, options.rounds
