# SPDX-License-Identifier: Apache-2.0
"""Building redcol's packages as pip does, but offline, and running Pythons that have only them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROJECT = ROOT / "bindings/python"
PACKAGES = sysconfig.get_paths()["purelib"]


def path_without_swift() -> str:
    folders = os.environ["PATH"].split(os.pathsep)
    found = [folder for folder in folders if not Path(folder, "swift").exists()]
    assert shutil.which("swift", path=os.pathsep.join(found)) is None
    return os.pathsep.join(found)


def environment(**variables: str) -> dict[str, str]:
    """That of a user: nothing of it leads to this checkout."""
    ours = ("REDCOL_", "PYTHON", "MAKE", "LD_LIBRARY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1", **variables}


def attempt(
    *command: object, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def run(*command: object, cwd: Path | None = None, **variables: str) -> str:
    result = attempt(*command, cwd=cwd, **variables)
    assert result.returncode == 0, result.stdout
    return result.stdout


def copy_checkout(folder: Path) -> None:
    """Put into a folder what this checkout holds now, and nothing that was built."""
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    kept = "\n".join(name for name in files.split("\0") if name and (ROOT / name).exists())
    copy = ["tar", "--create", "--files-from=-"]
    packed = subprocess.run(copy, cwd=ROOT, input=kept.encode(), stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "--extract"], cwd=folder, input=packed.stdout, check=True)


def build(kind: str, source: Path, folder: Path, **variables: str) -> Path:
    """A wheel or an sdist of the project in `source`."""
    options = [f"--{kind}", "--no-isolation", "--outdir", folder]
    run(sys.executable, "-m", "build", *options, source, **variables)
    (made,) = folder.iterdir()
    return made


def clean_python(folder: Path) -> Path:
    """The interpreter of a new environment, without redcol.

    It finds what redcol needs, and the tests, in the environment that this runs in.
    """
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin/python"
    command = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = Path(run(python, "-c", command).strip())
    (packages / "borrowed.pth").write_text(f"import site; site.addsitedir({PACKAGES!r})\n")
    return python
