# SPDX-License-Identifier: Apache-2.0
"""What was released stays: changes that would break a program are found, additions are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_c_examples import HEADER, LIBRARY, ROOT, header_functions, run

sys.path.insert(0, str(ROOT / "scripts"))

from check_abi import differences, last_release, version

TEXT = HEADER.read_text()

ACK = "                         int64_t entry_ids_length, int64_t *acknowledged_out,"
BREAKS = {
    "a function is gone": ("const char *redcol_version(void);", ""),
    "a function is renamed": (
        "void redcol_free(void *handle)",
        "void redcol_drop(void *handle)",
    ),
    "a parameter's type": (ACK, ACK.replace("int64_t e", "int32_t e")),
    "a parameter's pointer": (ACK, ACK.replace("int64_t *", "int32_t *")),
    "one parameter more": ("redcol_close(void *handle)", "redcol_close(void *handle, int now)"),
    "one parameter less": ("redcol_iter *iter, const char *name", "redcol_iter *iter"),
    "what is returned": ("int64_t redcol_live_objects", "int32_t redcol_live_objects"),
    "the type of all statuses": ("typedef int32_t redcol_status", "typedef int64_t redcol_status"),
    "a constant's value": ("REDCOL_ERROR_BUSY = -17", "REDCOL_ERROR_BUSY = -20"),
    "a constant's name": ("REDCOL_ERROR_NAME = -3", "REDCOL_ERROR_HOST = -3"),
    "a constant is gone": ("  REDCOL_END = 1,     /*", "  /*"),
}
GROWS = {
    "nothing": ("", ""),
    "a function": ("void redcol_free(", "int redcol_new(void);\nvoid redcol_free("),
    "a constant": ("  REDCOL_END = 1,", "  REDCOL_MORE = 3,\n  REDCOL_END = 1,"),
    "a type": ("typedef struct redcol_iter", "struct redcol_x;\ntypedef struct redcol_iter"),
    "words": ("Static text", "A static text"),
    "a version": ('VERSION "0.1.0"', 'VERSION "0.1.1"'),
}


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


@pytest.mark.parametrize(("old", "new"), list(BREAKS.values()), ids=list(BREAKS))
def test_what_breaks_programs_is_found(old: str, new: str) -> None:
    assert differences(TEXT, changed(old, new))


@pytest.mark.parametrize(("old", "new"), list(GROWS.values()), ids=list(GROWS))
def test_what_is_added_is_fine(old: str, new: str) -> None:
    assert differences(TEXT, changed(old, new)) == []


def test_the_header_has_all_that_was_released(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts/check_abi.py")]
    result = run(*script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    without = tmp_path / "redcol.h"
    without.write_text(changed("const char *redcol_version(void);", ""))
    result = run(*script, without)
    assert result.returncode == 1
    assert "redcol_version" in result.stdout
    assert version(last_release().read_text()) <= version(TEXT)
    dry = ["make", "--dry-run", "check"]
    shown = subprocess.run(dry, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "scripts/check.sh" in shown
    check = (ROOT / "scripts/check.sh").read_text()
    assert "scripts/check_abi.py" in check
    assert "scripts/check_symbols.sh" in check


def test_names_and_versions_in_the_library() -> None:
    dynamic = run("readelf", "--dynamic", "--wide", LIBRARY).stdout
    assert "Library soname: [libredcol.so.0]" in dynamic
    listed = run("nm", "-D", "--defined-only", "--with-symbol-versions", LIBRARY).stdout
    symbols = {line.split()[-1] for line in listed.splitlines() if " A " not in line}
    assert symbols == {f"{name}@@REDCOL_0" for name in header_functions()}
