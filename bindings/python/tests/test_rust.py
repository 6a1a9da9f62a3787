# SPDX-License-Identifier: Apache-2.0
"""The crate in bindings/rust: its tests, its documents' examples, and its consumer of a group."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import Server

ROOT = Path(__file__).resolve().parents[3]
CRATE = ROOT / "bindings/rust"
LIBRARY = Path(os.environ.get("REDCOL_LIBRARY", ROOT / ".build/release/libredcol.so"))
ENTRIES = 250
VALUES = {row: row - 1000 for row in range(ENTRIES) if row % 3}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a stream in which every third entry has no value, as tests/reading.rs says."""
    with Server(tcp=True) as server:
        with server.client() as db:
            for row in range(ENTRIES):
                fields = {"value": VALUES[row]} if row in VALUES else {"other": "text"}
                db.xadd("events", fields, id=f"{row + 1}-0")
            db.set("text", "no stream")
        yield server


@pytest.fixture(scope="module")
def environment(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the library and the server are, and a folder for what is built."""
    folder = tmp_path_factory.mktemp("rust")
    for name in ("libredcol.so", "libredcol.so.0"):  # for the linker, and for the loader
        (folder / name).symlink_to(LIBRARY.resolve())
    return {
        **os.environ,
        "REDCOL_TEST_URL": server.url,
        "REDCOL_LIB_DIR": str(folder),
        "LD_LIBRARY_PATH": str(folder),
        "CARGO_TARGET_DIR": str(folder / "target"),
        "RUSTFLAGS": "-Dwarnings",
    }


def cargo(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["cargo", *arguments]
    # Compiling takes half a minute on a busy machine; nothing here depends on how long.
    return subprocess.run(
        command, cwd=CRATE, env=environment, capture_output=True, text=True, timeout=600
    )


def test_the_crate_and_its_documents(environment: dict[str, str]) -> None:
    result = cargo(environment, "test", "--offline", "--locked")
    assert result.returncode == 0, result.stdout + result.stderr
    # Six tests and two examples of documents: none of them is left out.
    assert "6 passed; 0 failed; 0 ignored" in result.stdout
    assert "2 passed; 0 failed; 0 ignored" in result.stdout


def test_the_page_shows_the_consumer() -> None:
    example = (CRATE / "examples/consume_group.rs").read_text()
    assert f"```rust\n{example}```\n" in (ROOT / "docs/other-languages.md").read_text()


def test_the_consumer_sums_acknowledges_and_says_what_is_wrong(
    environment: dict[str, str], server: Server
) -> None:
    run = ("run", "--offline", "--locked", "--quiet", "--example", "consume_group")
    result = cargo(environment, *run, server.url, "events", "sums", "one", str(ENTRIES))
    printed = f"{ENTRIES} entries, sum {sum(VALUES.values())}\n"
    assert (result.returncode, result.stdout, result.stderr) == (0, printed, "")
    with server.client() as db:
        assert db.xpending("events", "sums")["pending"] == 0
    result = cargo(environment, *run, server.url, "text", "sums", "one", "1")
    assert (result.returncode, result.stdout) == (1, "")
    assert "WRONGTYPE" in result.stderr
