# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the engines, run small, so that it still runs when it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks/bench_engines.py"


def test_the_benchmark_runs():
    run = subprocess.run(
        [sys.executable, str(BENCHMARK), "--small"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=1_200,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "4,000 entries of 4 fields in about 8 tasks, medians of 1 rounds"
    names = [line[:20].strip() for line in lines[1:]]
    assert names == [
        *("", "drain", "read_stream, 1", "partitions, 2"),
        *("Spark batch, 1", "Spark stream, 1", "Ray, 1"),
    ]
