# SPDX-License-Identifier: Apache-2.0
"""The C interface over TLS: options of redcol_open, and programs of other tests that wait in event
loops, plain and under valgrind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from statuses import STATUSES, opening
from test_c_examples import (  # noqa: F401
    EVENTS,
    ROOT,
    compiler,
    test_example_of_the_header,
    test_read_stream_prints_the_columns,
    test_read_stream_under_valgrind,
)
from test_c_group import test_event_loop  # noqa: F401
from test_c_streams import (  # noqa: F401
    test_an_event_loop_writes,
    test_the_loop_goes_on_while_the_server_is_silent,
)

sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from servers import free_port
from tls_files import PASSWORD, TLSServer, files


@pytest.fixture
def server() -> Iterator[TLSServer]:
    with TLSServer() as started:
        yield started


@pytest.fixture
def url(server: TLSServer) -> str:
    with server.client() as db:
        for entry_id, fields in EVENTS:
            db.xadd("events", fields, id=entry_id)
        db.set("text", "no stream")
    return server.url


def test_options_of_redcol_open(tmp_path: Path) -> None:
    given = files()
    ours = {
        "ssl_ca_certs": given.authority.file,
        "ssl_certfile": given.client.certificate,
        "ssl_keyfile": given.encrypted_key,
        "ssl_password": PASSWORD,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": "true",
        "ssl_min_version": "TLSv1.3",
    }
    with TLSServer(clients="yes") as server:
        url = f"rediss://localhost:{server.tls_port}"
        assert opening(url, **ours) == 0
        # An option holds instead of the URL's parameter.
        assert opening(f"{url}?ssl_ca_certs=/nowhere&ssl_min_version=TLSv1.2", **ours) == 0
        for name in ("ssl_ca_certs", "ssl_password"):
            others = {key: value for key, value in ours.items() if key != name}
            assert opening(url, **others) == STATUSES["TLS"], name
            assert opening(f"{url}?{name}={ours[name]}", **others) == 0
        del ours["ssl_ca_certs"]
        ours["ssl_cert_reqs"] = "none"
        # A host that is to be checked.
        assert opening(url, **ours) == STATUSES["INVALID_ARGUMENT"]
        assert opening(url, **(ours | {"ssl_check_hostname": "false"})) == 0


def test_options_of_redcol_open_that_cannot_be_right() -> None:
    url = f"rediss://localhost:{free_port()}"
    for options in ({"ssl_keyfile": "k"}, {"ssl_cert_reqs": "maybe"}, {"ssl_ca_certs": ""}):
        assert opening(url, **options) == STATUSES["INVALID_ARGUMENT"]
    plain = url.replace("rediss", "redis")
    assert opening(plain, ssl_ca_certs="c") == STATUSES["INVALID_ARGUMENT"]


def test_what_a_connection_waits_for(tmp_path: Path) -> None:
    """When sending must read first, which a real server brings about once in many runs."""
    program, sources = tmp_path / "tls_waits", ROOT / "Sources/CPlatform"
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{sources}/include"]
    command += [f"-I{sources}", str(Path(__file__).with_name("tls_waits.c"))]
    subprocess.run([*command, str(sources / "tls.c"), "-o", str(program)], check=True)
    assert subprocess.check_output([program], text=True) == "fine\n"
