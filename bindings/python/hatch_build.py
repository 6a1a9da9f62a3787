# SPDX-License-Identifier: Apache-2.0
"""Building the wheel: the core with SwiftPM, and its library beside the Python files.

REDCOL_LIBRARY, the path of a libredcol.so, saves building it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
#: What of the checkout the core is built from; SwiftPM insists on the test targets, too.
CORE_SOURCES = (
    *(
        "Package.swift",
        "LICENSE",
        "THIRD_PARTY_NOTICES",
        "Makefile",
        "README.md",
        "CONTRIBUTING.md",
    ),
    *("include", "Sources", "Tests", "scripts", "bindings/cpp"),
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


def _defined(header: str, *names: str) -> str:
    """Numbers that a header of this machine defines, with dots; "unknown" if it is not here."""
    for folder in ("/usr/local/include", "/usr/include"):
        path = Path(folder, header)
        if path.is_file():
            text = path.read_text(errors="replace")
            found = [re.search(rf"#define\s+{name}\s+(\d+)", text) for name in names]
            if all(found):
                return ".".join(match[1] for match in found if match)
    return "unknown"


def _said(*command: str, pattern: str = "(.+)") -> str:
    """What a command prints, as far as the pattern takes it; "unknown" without the command."""
    try:
        result = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return "unknown"
    found = re.search(pattern, result.stdout)
    return found[1] if result.returncode == 0 and found else "unknown"


def bill_of_materials(library: Path) -> str:
    """What a library holds besides our own code, in CycloneDX 1.6 (https://cyclonedx.org).

    The same library gives the same text: there is no time and no random number in it.
    """
    parts = [
        (
            *("hiredis", "BSD-3-Clause", "https://github.com/redis/hiredis"),
            _defined("hiredis/hiredis.h", "HIREDIS_MAJOR", "HIREDIS_MINOR", "HIREDIS_PATCH"),
        ),
        (
            *("fast_float", "MIT", "https://github.com/fastfloat/fast_float"),
            _said("dpkg-query", "--show", "--showformat", "${Version}", "libfast-float-dev"),
        ),
        (
            *("swift-stdlib", "Apache-2.0 WITH Swift-exception", "https://www.swift.org"),
            _said("swift", "--version", pattern=r"Swift version ([\d.]+)"),
        ),
        (
            *("libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org"),
            _said("g++", "-dumpfullversion"),
        ),
    ]
    components = [
        {
            "type": "library",
            "bom-ref": name,
            "name": name,
            "version": version,
            "licenses": [{"expression": license_}],
            "externalReferences": [{"type": "website", "url": url}],
        }
        for name, license_, url, version in parts
    ]
    version = read_version()
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": "redcol",
                "name": "redcol",
                "version": version,
                "purl": f"pkg:pypi/redcol@{version}",
                "licenses": [{"expression": "Apache-2.0"}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": "redcol", "dependsOn": [name for name, *_ in parts]},
            *({"ref": name} for name, *_ in parts),
        ],
    }
    return json.dumps(bill, indent=2) + "\n"


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
            self._bill = tempfile.TemporaryDirectory(prefix="redcol-")
            bill = Path(self._bill.name) / "redcol.cdx.json"
            bill.write_text(bill_of_materials(library))
            build_data["sbom_files"].append(str(bill))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(library)}"
