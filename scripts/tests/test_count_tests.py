# SPDX-License-Identifier: Apache-2.0
"""The log of a failed run says why each test failed, and does not drown in one test's words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

SCRIPT = Path(__file__).resolve().parents[1] / "count_tests.py"


def counted(folder: Path, *failures: str) -> tuple[int, str]:
    """The exit status and the output for one failed test of pytest with each of these elements."""
    cases = "".join(
        f'<testcase classname="file" name="test_{number}">{failure}</testcase>'
        for number, failure in enumerate(failures)
    )
    (folder / "python.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    passed = '<testsuite><testcase classname="Suite" name="passes"/></testsuite>'
    for runner in ("swift", "engines"):
        (folder / f"{runner}.xml").write_text(passed)
    ended = subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=60
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def test_a_failure_is_printed_with_the_end_of_its_message(tmp_path: Path) -> None:
    text = escape("def test():\n>   assert 1 < 0\nE   assert 1 < 0\n\nfile.py:3: AssertionError")
    status, output = counted(tmp_path, f'<failure message="assert">{text}</failure>')
    assert status == 1
    assert output == (
        "failed: file.test_0\n"
        "    def test():\n"
        "    >   assert 1 < 0\n"
        "    E   assert 1 < 0\n"
        "    \n"
        "    file.py:3: AssertionError\n"
        "2 passed, 1 failed\n"
    )


def test_what_the_runners_say_only_in_the_attribute_is_printed(tmp_path: Path) -> None:
    """Swift Testing writes no text, and a test can fail in its body and again in its fixture."""
    said = "Expectation failed: (1 → 2) == 3 // where?"
    _, output = counted(tmp_path, f"<failure message={quoteattr(said)}/><error/>")
    assert f"    {said}\n    no message\n" in output


def test_a_long_message_is_cut_at_its_beginning(tmp_path: Path) -> None:
    lines = escape("\n".join(f"line {number}" for number in range(1000)))
    wide = "ü" * 10_000 + " the reason"
    failures = (f"<failure>{text}</failure>" for text in (lines, wide))
    _, output = counted(tmp_path, *failures)
    first, second = output.split("failed: ")[1:]
    shown = first.splitlines()[1:]
    assert shown == [f"    line {number}" for number in range(970, 1000)]
    message = second.splitlines()[1]
    assert message.endswith(" the reason")
    assert 2900 < len(message.encode()) <= 3004
