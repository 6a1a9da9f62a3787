# SPDX-License-Identifier: Apache-2.0
"""Adds up the runners' reports; exits with 1 if a test or a runner failed, or a runner ran none.

The end of each failed test's message is printed, so that the log of a build says why it failed.
A report `NAME-again.xml` tells of a second go of what failed in `NAME.xml`: a test that passes then
is counted as passed and named, but only where few failed at first.

usage: count_tests.py DIRECTORY [NAME OF A RUNNER THAT FAILED]...
"""

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

RUNNERS = {"swift": "swift*.xml", "python": "python*.xml", "engines": "engines*.xml"}
#: What pytest-xdist says of a test whose process ended.
PROCESS_DIED = "crashed while running"
#: How many tests of one report may need a second go. More of them are no accident.
AGAIN_MAX = 5
#: The most that is printed of one test's message. An assertion's reason is at the end.
LINES_MAX, BYTES_MAX = 30, 3000


def end_of_messages(case: ElementTree.Element) -> str:
    """The last lines of what a failed test said, indented."""
    said = [
        # pytest's text ends with the message; Swift Testing has the message alone.
        (found.text or "").strip() or found.get("message") or "no message"
        for found in case
        if found.tag in ("failure", "error")
    ]
    end = "\n".join(said).encode()[-BYTES_MAX:].decode(errors="ignore")
    return "\n".join(f"    {line}" for line in end.splitlines()[-LINES_MAX:])


def name_of(case: ElementTree.Element) -> str:
    """How a test is called in what is printed."""
    return f"{case.get('classname')}.{case.get('name')}"


def is_failed(case: ElementTree.Element) -> bool:
    """Whether it failed in its body or in its fixtures."""
    return case.find("failure") is not None or case.find("error") is not None


def passed_again(report: Path) -> set[str]:
    """The tests of a report that failed, and passed in their second go.

    None if too many failed, or one of them took its process with it.
    """
    again = report.with_name(f"{report.stem}-again.xml")
    if not again.exists():
        return set()
    at_first = {
        name_of(case) for case in ElementTree.parse(report).iter("testcase") if is_failed(case)
    }
    if len(at_first) > AGAIN_MAX or PROCESS_DIED in report.read_text():
        return set()
    cases = list(ElementTree.parse(again).iter("testcase"))
    still = {name_of(case) for case in cases if is_failed(case)}
    return (at_first & {name_of(case) for case in cases}) - still


def main(directory: str, *failed_runners: str) -> int:
    """Print what failed and was skipped, then the counts; return the exit status."""
    wrong = [f"{runner} did not end well" for runner in failed_runners]
    passed = failed = 0
    skipped: list[str] = []
    for runner, pattern in RUNNERS.items():
        runner_cases = 0
        for report in Path(directory).glob(pattern):
            if report.stem.endswith("-again"):
                continue
            again = passed_again(report)
            for case in ElementTree.parse(report).iter("testcase"):
                runner_cases += 1
                name = name_of(case)
                if is_failed(case) and name in again:
                    print(f"passed in its second go: {name}\n{end_of_messages(case)}")
                    passed += 1
                elif is_failed(case):
                    failed += 1
                    print(f"failed: {name}\n{end_of_messages(case)}")
                elif (reason := case.find("skipped")) is not None:
                    skipped.append(f"{name}: {reason.get('message') or reason.text or ''}")
                else:
                    passed += 1
        if runner_cases == 0:
            wrong.append(f"{runner} ran no test")
    for line in skipped:
        print(f"skipped: {line}")
    if skipped and os.environ.get("CI"):
        wrong.append("where everything is installed, no test may be skipped")
    for line in wrong:
        print(f"error: {line}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
