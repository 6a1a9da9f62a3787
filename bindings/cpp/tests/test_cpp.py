# SPDX-License-Identifier: Apache-2.0
"""redcol.hpp: without a warning in C++17 and C++20, against a real server, sanitized."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_c_examples import LIBRARY, ROOT, RUNTIME, VALGRIND, WARNINGS, run

sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from servers import Server

CPP = ROOT / "bindings/cpp"
EXAMPLE = CPP / "examples/consume_group.cpp"
PROGRAM = CPP / "tests/cpp_reader.cpp"
HEADERS = sorted(path.name for path in CPP.glob("*.hpp"))
MORE = CPP / "tests/cpp_more.cpp"
COMPILERS = [[name, f"-std=c++{standard}"] for name in ("g++", "clang++") for standard in (17, 20)]
STRICT = [*WARNINGS, "-Wshadow", "-Wconversion"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1"]
TEXTS = ["", "twelve bytes", None, "thirteen byte", "a much longer text, kept elsewhere"]

every_compiler = pytest.mark.parametrize("compiler", COMPILERS, ids=" ".join)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(tcp=True) as started, started.client() as client:
        first = {"flag": 1, "small": -5, "natural": 5, "real": 2.5, "day": "1970-01-02"}
        times = {"moment": "1970-01-02T00:00:00Z", "price": "1.25"}
        client.xadd("types", {**first, **times, "text": "a text that is longer than a view"})
        client.xadd("types", {"other": 1})
        for text in TEXTS:
            client.xadd("texts", {"other": 1} if text is None else {"text": text})
        for number in range(1, 26):
            client.xadd("numbers", {"n": number}, id=f"{number}-1")
        client.xadd(b"t\0o", {"n": 1})
        client.set("key", "no stream")
        client.execute_command("ACL", "SETUSER", "app", "on", ">one", "~*", "+@all")
        is_over = threading.Event()

        def publish() -> None:
            while not is_over.wait(0.01):
                client.publish("numbers", '{"n": 1}')

        publisher = threading.Thread(target=publish)
        publisher.start()
        yield started
        is_over.set()
        publisher.join()


def build(compiler: list[str], source: Path, program: Path, *more: str) -> Path:
    includes = [f"-I{ROOT / 'include'}", f"-I{CPP}"]
    soname = program.parent / "libredcol.so.0"
    if not soname.exists():
        soname.symlink_to(LIBRARY.resolve())
    link = [*RUNTIME, str(LIBRARY), "-pthread", f"-Wl,-rpath,{program.parent}"]
    result = run(*compiler, *STRICT, *more, *includes, source, *link, "-o", program)
    assert (result.returncode, result.stderr) == (0, "")
    return program


@every_compiler
def test_every_part(compiler: list[str], server: Server, tmp_path: Path) -> None:
    result = run(build(compiler, PROGRAM, tmp_path / "reader"), server.url)
    assert (result.returncode, result.stderr) == (0, "")


@every_compiler
def test_many_streams_ranges_and_texts(compiler: list[str], server: Server, tmp_path: Path) -> None:
    result = run(build(compiler, MORE, tmp_path / "more"), server.url)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("source", [PROGRAM, MORE], ids=["reader", "more"])
def test_every_part_sanitized(source: Path, server: Server, tmp_path: Path) -> None:
    program = build(["g++", "-std=c++17"], source, tmp_path / "reader", *SANITIZERS)
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1"}
    result = subprocess.run(
        [program, server.url], env=environment, capture_output=True, text=True, timeout=900
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_sanitizers_would_tell(tmp_path: Path) -> None:
    source = tmp_path / "wrong.cpp"
    source.write_text(
        '#include "redcol.hpp"\n'
        "int main() {\n  ArrowSchema schema{};\n  redcol::Column<int> *column = nullptr;\n"
        "  {\n    ArrowArray array{};\n    column = new redcol::Column<int>(schema, array);\n  }\n"
        "  const ArrowArray *gone = new ArrowArray{};\n  delete gone;\n"
        "  return static_cast<int>(gone->length) + static_cast<int>(column != nullptr);\n}\n"
    )
    program = build(["g++", "-std=c++17"], source, tmp_path / "wrong", *SANITIZERS, "-Wno-error")
    assert "heap-use-after-free" in run(program).stderr


def test_every_part_under_valgrind(server: Server, tmp_path: Path) -> None:
    program = build(["g++", "-std=c++17"], PROGRAM, tmp_path / "reader")
    result = run(*VALGRIND, program, server.url)
    assert (result.returncode, result.stderr) == (0, "")


@every_compiler
def test_example(compiler: list[str], server: Server, tmp_path: Path) -> None:
    program = build(compiler, EXAMPLE, tmp_path / "consume_group")
    with server.client() as client:
        for value in [1, 2, 3]:
            client.xadd("events", {"value": value})
        client.xadd("events", {"other": 1})
    result = run(program, server.url, "events", "sums", "worker-1", "4")
    assert (result.returncode, result.stdout, result.stderr) == (0, "4 entries, sum 6\n", "")
    with server.client() as client:
        assert client.xpending("events", "sums")["pending"] == 0
    for arguments, code, word in [
        ((), 2, "usage: "),
        ((server.url, "key", "sums", "worker-1", "1"), 1, "key"),
        (("redis://localhost:1", "events", "sums", "worker-1", "1"), 1, "localhost:1"),
    ]:
        result = run(program, *arguments)
        assert (result.returncode, word in result.stderr) == (code, True), result.stderr


def test_example_of_the_header(server: Server, tmp_path: Path) -> None:
    """The program in the first comment."""
    comment = (CPP / "redcol.hpp").read_text().split("*/")[0]
    lines = [re.sub(r"^ \* ?", "", line) for line in comment.splitlines()]
    body = "\n".join(line for line in lines if line.startswith("  "))
    assert body.count("redis://localhost") == 1
    body = body.replace("redis://localhost", server.url).replace("events", "numbers")
    body = body.replace("value", "n", 1).replace('("value")', '("n")')
    source = tmp_path / "header.cpp"
    source.write_text(
        '#include "redcol.hpp"\n#include <iostream>\nint main() {\n'
        f'{body}\n  std::cout << sum << "\\n";\n}}\n'.replace('"value"', '"n"')
    )
    result = run(build(["g++", "-std=c++17"], source, tmp_path / "header"))
    assert (result.returncode, result.stdout) == (0, f"{sum(range(1, 26))}\n"), result.stderr


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_without_exceptions(compiler: str, server: Server, tmp_path: Path) -> None:
    source = tmp_path / "statuses.cpp"
    source.write_text(
        '#include "redcol.hpp"\n#include <cstdio>\n'
        "int main(int, char **argv) {\n"
        "  redcol::Error error;\n"
        "  redcol::Client client = redcol::Client::open(argv[1], {}, error);\n"
        '  redcol::Reader reader = client.read("numbers", {{"batch_rows", "10"}}, error);\n'
        "  std::size_t rows = 0;\n"
        "  for (const redcol::Batch &batch : reader.batches(error))\n"
        "    rows += batch.size();\n"
        '  std::printf("%zu rows, %d: %s\\n", rows, error.status(), error.message());\n'
        "}\n"
    )
    flags = ["-fno-exceptions", "-fno-rtti"]
    program = build([compiler, "-std=c++17"], source, tmp_path / "statuses", *flags)
    assert run(program, server.url).stdout == "25 rows, 0: \n"
    assert re.match(r"0 rows, -1: iter is NULL", run(program, "nonsense").stdout)


def test_each_header_compiles_alone_and_twice(tmp_path: Path) -> None:
    for header in HEADERS:
        source = tmp_path / "alone.cpp"
        other = tmp_path / "other.cpp"
        source.write_text(f'#include "{header}"\n#include "{header}"\nint main() {{}}\n')
        other.write_text(f'#include "{header}"\nint other() {{ return 0; }}\n')
        build(["g++", "-std=c++17"], source, tmp_path / "alone", str(other))


# -- Files of both kinds in one program

WITH = """
#include "redcol.hpp"
int with_exceptions(const char *url) {
  redcol::Client client = redcol::Client::open(url);
  redcol::Error error;
  redcol::Reader wrong = client.read("key", {}, error);
  int thrown = 0;
  try {
    for (const redcol::Batch &batch : wrong)
      (void)batch;
  } catch (const redcol::Exception &) {
    thrown++;
  }
  try {
    redcol::Client::open("nonsense");
  } catch (const redcol::Exception &) {
    thrown++;
  }
  return thrown;
}
"""
WITHOUT = """
#include "redcol.hpp"
int without_exceptions(const char *url) {
  redcol::Error error;
  redcol::Client client = redcol::Client::open(url, {}, error);
  redcol::Reader wrong = client.read("key", {}, error);
  int failed = 0;
  for (const redcol::Batch &batch : wrong.batches(error))
    (void)batch;
  failed += error.status() == REDCOL_ERROR_WRONG_TYPE;
  redcol::Reader numbers = client.read("numbers", redcol::Schema().add("n", "l"), {}, error);
  for (const redcol::Batch &batch : numbers.batches(error))
    failed += batch.column<double>("n", error).empty() && error.status() == REDCOL_ERROR_SCHEMA;
  return failed;
}
"""
MAIN = """
int with_exceptions(const char *url);
int without_exceptions(const char *url);
int main(int, char **argv) {
  return with_exceptions(argv[1]) == 2 && without_exceptions(argv[1]) == 2 ? 0 : 1;
}
"""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standards", [("17", "17"), ("20", "17")], ids="-".join)
def test_files_with_and_without_exceptions_in_one_program(
    compiler: str, standards: tuple[str, str], server: Server, tmp_path: Path
) -> None:
    """Whichever comes first, and is the one whose functions the linker keeps."""
    flags = [*STRICT, "-O0", "-c", f"-I{ROOT / 'include'}", f"-I{CPP}"]
    objects, symbols = [], []
    for name, text, more in [
        ("with", WITH, [f"-std=c++{standards[0]}"]),
        ("without", WITHOUT, [f"-std=c++{standards[1]}", "-fno-exceptions"]),
    ]:
        source = tmp_path / f"{name}.cpp"
        source.write_text(text)
        objects.append(tmp_path / f"{name}.o")
        result = run(compiler, *flags, *more, source, "-o", objects[-1])
        assert (result.returncode, result.stderr) == (0, "")
        listed = run("nm", "-C", "--defined-only", objects[-1]).stdout.splitlines()
        symbols.append({line[17:] for line in listed if "redcol::" in line})
    assert len(symbols[0]) > 50 < len(symbols[1])
    assert symbols[0] & symbols[1] == set(), "one of them would serve both"
    main = tmp_path / "main.cpp"
    main.write_text(MAIN)
    for order in (objects, objects[::-1]):
        program = build([compiler, "-std=c++17"], main, tmp_path / "both", *map(str, order))
        assert run(program, server.url).returncode == 0, order[0].name


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["11", "14"])
def test_an_older_standard_is_one_clear_error(compiler: str, standard: str, tmp_path: Path) -> None:
    for header in HEADERS:
        source = tmp_path / "old.cpp"
        source.write_text(f'#include "{header}"\nint main() {{}}\n')
        includes = [f"-I{ROOT / 'include'}", f"-I{CPP}"]
        result = run(compiler, f"-std=c++{standard}", *includes, "-fsyntax-only", source)
        assert result.returncode != 0
        assert result.stderr.count("error:") == 1, result.stderr
        assert "redcol.hpp needs C++17 or later: compile with -std=c++17" in result.stderr
