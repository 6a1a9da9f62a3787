# SPDX-License-Identifier: Apache-2.0
"""The wheel: what is in it, where it runs, and that it works there, without Swift."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from packages import PROJECT, ROOT, build, clean_python, path_without_swift, run

#: Left out of `make check`.
pytestmark = pytest.mark.slow

LIBRARY = Path(os.environ.get("REDCOL_LIBRARY", ROOT / ".build/release/libredcol.so"))
#: Other Pythons that `make setup` has found, with Polars in an environment of their own.
OTHER_PYTHONS = sorted(ROOT.glob(".venv-python3.*/bin/python"))
SUPPORT = ("conftest.py", "leaks.py", "servers.py", "grouping.py", "reads.py")
SUBSET = ("test_guide_range.py", "test_groups.py", "test_async.py", "test_import.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return build("wheel", PROJECT, folder, REDCOL_LIBRARY=str(LIBRARY.resolve()))


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    """A subset of the tests, where the sources are not."""
    folder = tmp_path / "bindings/python/tests"
    folder.mkdir(parents=True)
    for name in SUPPORT + SUBSET:
        shutil.copy(PROJECT / "tests" / name, folder)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path / "bindings/python")
    return folder


def run_tests(python: Path, tests: Path, *where: Path) -> None:
    # Only with the server that is no package; -c: the project's own settings name its sources.
    options = ["-c", os.devnull, "-p", "no:cacheprovider", "-k", "not r6 and not r8 and not v9"]
    path = os.pathsep.join(str(folder) for folder in (*where, tests))
    variables = {"PATH": path_without_swift(), "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}
    said = run(python, "-m", "pytest", "-q", "-W", "error", *options, ".", cwd=tests, **variables)
    assert re.search(r"^\d\d+ passed", said, re.MULTILINE), said
    assert "failed" not in said
    program = "import redcol._native; print(redcol._native.library()._name)"
    loaded = Path(run(python, "-c", program, cwd=tests, **variables).strip())
    assert loaded.name == "libredcol.so"
    assert not loaded.is_relative_to(ROOT), loaded


def test_it_is_named_after_what_the_library_needs(wheel: Path) -> None:
    needed = [
        int(minor)
        for minor in re.findall(r"GLIBC_2\.(\d+)", run("readelf", "--version-info", LIBRARY))
    ]
    assert needed
    assert wheel.name.endswith(f"-py3-none-manylinux_2_{max(17, *needed)}_x86_64.whl")


def test_the_library_is_small_and_needs_libc_only() -> None:
    said = run("readelf", "--dynamic", LIBRARY)
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", said))
    assert needed == {"libc.so.6", "libm.so.6"}
    assert LIBRARY.stat().st_size < (1 << 20) + (1 << 18)


def test_auditwheel_agrees(wheel: Path) -> None:
    said = run(sys.executable, "-m", "auditwheel", "show", wheel)
    tag = wheel.stem.split("-")[-1]
    words = " ".join(said.split())
    assert f'is consistent with the following platform tag: "{tag}"' in words, said


def test_it_holds_the_package_the_library_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        assert file.read("redcol/libredcol.so") == LIBRARY.read_bytes()
        metadata = next(name for name in names if name.endswith("/METADATA"))
        lines = file.read(metadata).decode().splitlines()
    assert "Requires-Python: >=3.10" in lines
    needed = [line for line in lines if line.startswith("Requires-Dist:")]
    assert [line for line in needed if "extra ==" not in line] == ["Requires-Dist: polars>=1.33.1"]
    for words in ("click.* == .cli", "tqdm.* == .progress", "prometheus-client.* == .metrics"):
        assert any(re.search(words, line) for line in needed), words
    sources = PROJECT / "src"
    files = {str(path.relative_to(sources)) for path in sources.rglob("*.py")}
    files |= {"redcol/py.typed", "redcol/libredcol.so"}
    found = {name for name in names if ".dist-info/" not in name}
    assert {name for name in found if name.endswith(".data/data/share/man/man1/redcol.1")}
    assert {name for name in found if ".data/" not in name} == files


def test_it_carries_its_licenses_and_a_bill_of_materials(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        inside = {
            name.split(".dist-info/")[1]: name for name in file.namelist() if "-info/" in name
        }
        metadata = file.read(inside["METADATA"]).decode().splitlines()
        bill = json.loads(file.read(inside["sboms/redcol.cdx.json"]))
        for name in ("LICENSE", "THIRD_PARTY_NOTICES"):
            assert f"License-File: {name}" in metadata
            assert file.read(inside[f"licenses/{name}"]) == (ROOT / name).read_bytes()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Author: The redcol authors" in metadata
    notices = (ROOT / "THIRD_PARTY_NOTICES").read_text()
    assert "[yyyy]" not in (ROOT / "LICENSE").read_text()
    for part in ("hiredis", "fast_float", "Swift", "libgcc"):
        assert part in notices
    assert bill["bomFormat"] == "CycloneDX"
    found = {part["name"]: part["version"] for part in bill["components"]}
    assert set(found) == {"hiredis", "fast_float", "swift-stdlib", "libgcc"}
    assert all(re.match(r"\d+\.\d+", version) for version in found.values()), found
    digest = hashlib.sha256(LIBRARY.read_bytes()).hexdigest()
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest}]


def test_the_library_is_hardened() -> None:
    """As distributions build theirs: relocated once and then read-only, no executable stack."""
    headers = run("readelf", "--wide", "--program-headers", LIBRARY)
    dynamic = run("readelf", "--wide", "--dynamic", LIBRARY)
    symbols = run("nm", "--dynamic", LIBRARY)
    assert "GNU_RELRO" in headers
    assert re.search(r"FLAGS\).*BIND_NOW", dynamic)
    assert re.search(r"GNU_STACK(?!.*E\b)", headers)
    assert "__stack_chk_fail" in symbols
    assert "_chk@GLIBC" in symbols.replace("__stack_chk_fail", "")
    assert "TEXTREL" not in dynamic


def test_it_works_in_a_clean_environment(wheel: Path, tests: Path, tmp_path: Path) -> None:
    python = clean_python(tmp_path / "clean")
    run(python, "-m", "pip", "install", "--no-deps", wheel, PATH=path_without_swift())
    run_tests(python, tests)


@pytest.mark.parametrize("python", OTHER_PYTHONS, ids=lambda path: path.parents[1].name)
def test_it_works_with_other_pythons(
    python: Path, wheel: Path, tests: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    options = ["--no-deps", "--target", installed]
    run(python, "-m", "pip", "install", *options, wheel, PATH=path_without_swift())
    run_tests(python, tests, installed)
