"""Building the wheel: the core with SwiftPM, and its library beside the Python files.

REDCOL_LIBRARY, the path of a libredcol.so, saves building it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
#: What of the checkout the core is built from; SwiftPM insists on the test targets, too.
CORE_SOURCES = ("Package.swift", "Makefile", "LICENSE", "include", "Sources", "Tests")


def core_root() -> Path:
    """Where the core's sources are: the checkout, or core/ in an unpacked sdist."""
    for root in (HERE / "core", HERE.parent.parent):
        if (root / "include" / "redcol.h").is_file():
            return root
    raise RuntimeError(
        f"include/redcol.h is neither in {HERE / 'core'} nor two folders above {HERE}."
    )


def read_version() -> str:
    """The version, from the header: the one place where it is written."""
    header = (core_root() / "include" / "redcol.h").read_text()
    found = re.search(r'^#define REDCOL_VERSION "(.+)"$', header, re.MULTILINE)
    if found is None:
        raise RuntimeError("redcol.h has no line '#define REDCOL_VERSION \"…\"'.")
    return found[1]


def find_or_build_library() -> Path:
    """The library to ship: REDCOL_LIBRARY, or built from the sources."""
    chosen = os.environ.get("REDCOL_LIBRARY")
    if chosen:
        library = Path(chosen).resolve()
        if not library.is_file():
            raise RuntimeError(f"REDCOL_LIBRARY is {chosen}, which is not a file.")
        return library
    if shutil.which("swift") is None:
        raise RuntimeError(
            "redcol's core is written in Swift, and no `swift` was found. Install Swift 6.3 or "
            "later (https://www.swift.org/install), or set REDCOL_LIBRARY to a libredcol.so."
        )
    # SwiftPM takes CC and CXX for its C targets, and fails with anything but its own clang.
    environment = {k: v for k, v in os.environ.items() if k not in ("CC", "CXX")}
    root = core_root()
    result = subprocess.run(["make", "-C", str(root), "build"], env=environment, check=False)
    library = root / ".build" / "release" / "libredcol.so"
    if result.returncode != 0 or not library.is_file():
        raise RuntimeError(f"`make -C {root} build` failed; its output is above.")
    return library.resolve()


class CoreBuildHook(BuildHookInterface[Any]):
    """Puts the core's library into wheels, and the core's sources into sdists."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a wheel or an sdist is put together."""
        if self.target_name == "sdist":
            root = core_root()
            build_data["force_include"].update(
                {
                    str(root / name): f"core/{name}"
                    for name in CORE_SOURCES
                    if (root / name).exists()
                }
            )
            return
        library = find_or_build_library()
        if version == "editable":
            beside = HERE / "src" / "redcol" / "libredcol.so"
            beside.unlink(missing_ok=True)
            beside.symlink_to(library)
        else:
            build_data["force_include"][str(library)] = "redcol/libredcol.so"
        platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
