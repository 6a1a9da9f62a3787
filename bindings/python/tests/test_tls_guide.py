# SPDX-License-Identifier: Apache-2.0
"""The guide's examples over TLS: the tests of other files, on servers that are reached by TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from test_async import test_guide_async_iterator  # noqa: F401
from test_following import (  # noqa: F401
    test_guide_real_time_analytics,
    test_guide_synchronous_iterator,
)
from test_groups import (  # noqa: F401
    events,
    test_guide_basic_consumer_group,
    test_guide_blocking_read,
    test_guide_manual_acknowledgment,
    test_guide_multiple_consumers,
)
from test_guide_range import *  # noqa: F403
from test_scan import test_the_guide  # noqa: F401
from test_write_hashes import db, test_hashes, test_the_guides_real_time_example  # noqa: F401

from servers import REDIS_6, REDIS_8, VALKEY_9, Server
from tls_files import RelayedServer, TLSServer

SERVERS: dict[str, Callable[[], Server]] = {
    "r7": TLSServer,
    "r6": lambda: RelayedServer(REDIS_6),
    "r8": lambda: RelayedServer(REDIS_8),
    "v9": lambda: RelayedServer(VALKEY_9),
}


@pytest.fixture(scope="module", params=SERVERS)
def any_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param]() as started:
        assert started.url.startswith("rediss://")
        yield started
