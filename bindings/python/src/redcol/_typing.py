"""Whether a type checker reads this: what is only for one is imported only then.

`typing` with what it imports takes a fourth of the time that importing this package takes.
"""

from __future__ import annotations

TYPE_CHECKING = False
