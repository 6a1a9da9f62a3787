# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of the documents from the demo's data: make_pictures.py FOLDER.

It starts a private server, writes the events of the demo, and draws them with `redcol plot`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "bindings/python/examples"
#: The repository holds no large pictures.
BYTES_MAX = 200_000
PICTURES = {
    "actions.svg": ("plot", "shop", "--by", "action"),
}


def main() -> None:
    """Make all of them."""
    sys.path.insert(0, str(EXAMPLES))
    from demo import write_events

    from private_server import private_server

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with private_server() as url:
        write_events(url, "shop")
        for name, arguments in PICTURES.items():
            path = folder / name
            subprocess.run(
                [sys.executable, "-m", "redcol", *arguments, "-o", path],
                env={**os.environ, "REDCOL_URL": url},
                check=True,
            )
            if path.stat().st_size > BYTES_MAX:
                raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {BYTES_MAX}")


if __name__ == "__main__":
    main()
