# SPDX-License-Identifier: Apache-2.0
"""`make check` runs all test files that start no server, and only those."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tests_without_server
from tests_without_server import ROOT, Files

CONFTEST = """
from servers import Server

def started() -> Server: ...
def url(started): ...
def key(): ...
"""

#: Files of a folder of tests, and whether they start a server.
CASES = {
    "test_pure.py": ("def test(key): ...", False),
    "test_fixture.py": ("def test(url): ...", True),
    "test_own.py": ("from servers import Server\ndef test(): Server()", True),
    "test_by_helper.py": ("from helper import start\ndef test(): start()", True),
    "test_helper_alone.py": ("from helper import pure\ndef test(): pure()", False),
    "test_whole_helper.py": ("import helper\ndef test(): helper.pure()", True),
    "test_all_of_helper.py": ("from helper import *\ndef test(): ...", True),
    "test_by_test.py": ("import test_by_helper\ndef test(): ...", True),
    "test_inside.py": ("def test():\n    import servers", True),
    "test_class.py": ("class Test:\n    def test(self, url): ...", True),
    "test_value.py": ("from helper import started\ndef test(): started", True),
}
HELPER = """
from servers import Server

def pure(): ...
def start(): return make()
def make(): return Server()
started = make()
"""


def test_what_a_file_uses(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "helper.py").write_text(HELPER)
    for name, (text, _) in CASES.items():
        (tmp_path / name).write_text(text)
    found = {path.name for path in Files((tmp_path,), ()).without_server()}
    assert found == {name for name, (_, starts) in CASES.items() if not starts}


def test_the_files_of_this_checkout() -> None:
    script = Path(tests_without_server.__file__)
    listed = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert str(Path(__file__).resolve().relative_to(ROOT)) in listed
    assert "bindings/python/tests/test_option_tables.py" in listed
    assert "bindings/cpp/tests/test_abi.py" in listed
    for name in ("test_groups", "test_endless", "test_examples"):
        assert f"bindings/python/tests/{name}.py" not in listed
    assert "bindings/cpp/tests/test_c_examples.py" not in listed
