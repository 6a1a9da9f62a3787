# SPDX-License-Identifier: Apache-2.0
"""The C examples: compiled as C and as C++ without a warning, run, and run again under valgrind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from servers import Server  # noqa: E402

HEADER = ROOT / "include/redcol.h"
EXAMPLE = ROOT / "bindings/cpp/examples/read_stream.c"
LIBRARY = Path(os.environ.get("REDCOL_LIBRARY", ROOT / ".build/release/libredcol.so"))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"]
#: What comes before a sanitized library; scripts/sanitize.sh says it.
RUNTIME = os.environ.get("REDCOL_LINK", "").split()
COMPILERS = {
    "gcc-c11": ["gcc", "-std=c11"],
    "clang-c11": ["clang", "-std=c11"],
    "g++-c++17": ["g++", "-std=c++17", "-xc++"],
    "clang++-c++17": ["clang++", "-std=c++17", "-xc++"],
}
# Swift's runtime keeps its caches forever, behind pointers that valgrind counts as possible leaks.
VALGRIND = ["valgrind", "--quiet", "--leak-check=full", "--error-exitcode=9"]
VALGRIND += ["--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"]

LONG_NAME = "a name of more than twelve bytes"
EVENTS = [
    ("1704067200000-0", {"user": "ann", "value": "-7", "amount": "2.5"}),
    ("1704067200000-1", {"user": LONG_NAME, "amount": "1e300"}),
    ("1704067200005-0", {"value": "9223372036854775807", "user": "", "other": "ignored"}),
]
EVENTS_PRINTED = f"""\
_id=1704067200000-0 _ts=1704067200000 user=ann value=-7 amount=2.5
_id=1704067200000-1 _ts=1704067200000 user={LONG_NAME} value=null amount=1.0000000000000001e+300
_id=1704067200005-0 _ts=1704067200005 user= value=9223372036854775807 amount=null
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Server(tcp=True) as server, server.client() as client:
        for entry_id, fields in EVENTS:
            client.xadd("events", fields, id=entry_id)
        client.set("text", "no stream")
        yield server.url


@pytest.fixture(params=list(COMPILERS.values()), ids=list(COMPILERS))
def compiler(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=900)


def build(compiler: list[str], source: Path, program: Path) -> Path:
    # The languages' library of the compiler that is asked, so that -xc++ ends before the library.
    link = ["-xnone", *RUNTIME, str(LIBRARY), f"-Wl,-rpath,{program.parent}"]
    soname = program.parent / "libredcol.so.0"
    if not soname.exists():
        soname.symlink_to(LIBRARY.resolve())
    result = run(*compiler, *WARNINGS, f"-I{ROOT / 'include'}", source, *link, "-o", program)
    assert result.returncode == 0, result.stderr
    return program


def header_example() -> str:
    """The program in the header's first comment, as the body of a main function."""
    comment = HEADER.read_text().split("*/")[0]
    lines = [re.sub(r"^ \* ?", "", line) for line in comment.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("A program that prints"))
    body = []
    for line in lines[start + 1 :]:
        if line and not line.startswith("  "):
            break
        body.append(line)
    return "\n".join(body)


def header_functions() -> list[str]:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    return re.findall(r"\b(redcol_[a-z0-9_]+)\s*\(", text)


def test_read_stream_prints_the_columns(compiler: list[str], url: str, tmp_path: Path) -> None:
    program = build(compiler, EXAMPLE, tmp_path / "read_stream")
    result = run(program, url, "events")
    assert (result.returncode, result.stdout, result.stderr) == (0, EVENTS_PRINTED, "")


def test_read_stream_of_nothing_prints_nothing(url: str, tmp_path: Path) -> None:
    program = build(COMPILERS["gcc-c11"], EXAMPLE, tmp_path / "read_stream")
    result = run(program, url, "missing")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("stream", ["events", "missing", "text"])
def test_read_stream_under_valgrind(stream: str, url: str, tmp_path: Path) -> None:
    program = build(COMPILERS["gcc-c11"], EXAMPLE, tmp_path / "read_stream")
    result = run(*VALGRIND, program, url, stream)
    assert result.returncode == (1 if stream == "text" else 0), result.stderr
    assert "==" not in result.stderr  # the mark of valgrind's lines
    assert result.stdout == (EVENTS_PRINTED if stream == "events" else "")


def test_read_stream_says_what_is_wrong(url: str, tmp_path: Path) -> None:
    program = build(COMPILERS["gcc-c11"], EXAMPLE, tmp_path / "read_stream")
    for arguments, code, word in [
        ((), 2, "usage: "),
        ((url, "text"), 1, "text"),
        (("redis://localhost:1", "events"), 1, "localhost:1"),
        (("http://localhost", "events"), 1, "redis://"),
    ]:
        result = run(program, *arguments)
        assert (result.returncode, result.stdout) == (code, "")
        assert word in result.stderr


def test_example_of_the_header(compiler: list[str], url: str, tmp_path: Path) -> None:
    example = header_example()
    assert '"redis://localhost"' in example
    example = example.replace("redis://localhost", url)
    source = tmp_path / "header_example.c"
    includes = '#include <stdio.h>\n#include "redcol.h"\n\n'
    source.write_text(f"{includes}int main(void) {{\n{example}\n  return 0;\n}}\n")
    result = run(build(compiler, source, tmp_path / "header_example"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "3 entries\n", "")


def test_every_function_of_the_header_links(compiler: list[str], tmp_path: Path) -> None:
    names = header_functions()
    assert "redcol_open" in names
    addresses = "".join(f"  (void (*)(void)){name},\n" for name in names)
    source = tmp_path / "addresses.c"
    source.write_text(
        '#include "redcol.h"\n\n'
        f"static void (*const functions[])(void) = {{\n{addresses}}};\n\n"
        "int main(void) {\n"
        "  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)\n"
        "    if (functions[i] == NULL)\n      return 1;\n  return 0;\n}\n"
    )
    result = run(build(compiler, source, tmp_path / "addresses"))
    assert result.returncode == 0, result.stderr


def test_header_and_exports_and_library_agree(tmp_path: Path) -> None:
    script = ROOT / "scripts/check_symbols.sh"
    assert run(script, LIBRARY).returncode == 0, run(script, LIBRARY).stderr
    # and the check sees a difference
    source = tmp_path / "stray.c"
    source.write_text("void redcol_stray(void) {}\n")
    other = tmp_path / "libother.so"
    flags = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-lhiredis"]
    assert run("gcc", source, *flags, "-o", other).returncode == 0
    result = run(script, other)
    assert result.returncode == 1
    assert "only in the library: redcol_stray" in result.stderr
    assert "only in the header: redcol_open" in result.stderr
    assert "the library needs libhiredis.so" in result.stderr
