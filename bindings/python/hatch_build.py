"""Building the wheel: the core with SwiftPM, and its library beside the Python files.

REDCOL_LIBRARY, the path of a libredcol.so, saves building it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
#: What of the checkout the core is built from; SwiftPM insists on the test targets, too.
CORE_SOURCES = (
    *("Package.swift", "LICENSE", "include", "Sources", "Tests"),
    "scripts/build.sh",
)


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


def platform_tag(library: Path) -> str:
    """The oldest platform that has all that a library asks libc for, in the words of PEP 600."""
    system, _, machine = sysconfig.get_platform().partition("-")
    versions = re.findall(rb"\bGLIBC_2\.(\d+)", library.read_bytes())
    if system != "linux" or not versions:
        return re.sub(r"[-.]", "_", sysconfig.get_platform())
    # No promise for systems older than this, whatever the library asks for.
    return f"manylinux_2_{max(17, *map(int, versions))}_{machine}"


def find_or_build_library() -> Path:
    """The library to ship: REDCOL_LIBRARY, or built from the sources.

    RuntimeError, with what is to be done, if that fails.
    """
    chosen = os.environ.get("REDCOL_LIBRARY")
    if chosen:
        library = Path(chosen).resolve()
        if not library.is_file():
            raise RuntimeError(f"REDCOL_LIBRARY is {chosen}, which is not a file.")
        return library
    root = core_root()
    script, folder = root / "scripts" / "build.sh", root / ".build"
    result = subprocess.run([script, folder], check=False)
    library = folder / "release" / "libredcol.so"
    if result.returncode != 0 or not library.is_file():
        raise RuntimeError(
            "redcol's library could not be built; what went wrong is said above. Installing the "
            "wheel, or setting REDCOL_LIBRARY to a libredcol.so, needs no building."
        )
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
        try:
            library = find_or_build_library()
        except RuntimeError as error:
            self.app.abort(f"redcol: {error}")  # in plain words, without a traceback
        if version == "editable":
            beside = HERE / "src" / "redcol" / "libredcol.so"
            beside.unlink(missing_ok=True)
            beside.symlink_to(library)
        else:
            build_data["force_include"][str(library)] = "redcol/libredcol.so"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(library)}"
