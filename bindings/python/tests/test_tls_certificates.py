# SPDX-License-Identifier: Apache-2.0
"""Whom a connection with TLS trusts, who is trusted by the server, and what is said otherwise."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_addresses import environment, preloaded  # noqa: F401

import redcol
from redcol import _native
from servers import REDIS_7, FakeServer, Server, silent
from tls_files import PASSWORD, Files, Relay, TLSServer, files, openssl, tls_url

#: Certificates of a server that are refused: the file, the host asked for, and what is said.
REFUSED = {
    "unknown authority": ("unknown", "127.0.0.1", r"issuer certificate.*ssl_ca_certs"),
    "self-signed": ("self_signed", "127.0.0.1", r"self.signed.*ssl_ca_certs"),
    "another name": ("other_host", "localhost", r"ostname mismatch; it is for another host"),
    "another address": ("other_host", "127.0.0.1", r"IP address mismatch; it is for another host"),
    "expired": ("expired", "127.0.0.1", r"expired; it must be renewed"),
    "not valid yet": ("not_yet_valid", "127.0.0.1", r"not yet valid"),
    "weak key": ("weak", "127.0.0.1", r"key too (weak|small)"),
    "a client's": ("no_server", "127.0.0.1", r"unsuitable|unsupported|purpose"),
}


@pytest.fixture(scope="module")
def given() -> Files:
    return files()


@pytest.fixture(scope="module")
def guarded() -> Iterator[TLSServer]:
    """A server that wants a certificate of its clients."""
    with TLSServer(clients="yes") as server:
        yield server


def mutual(*arguments: str) -> tuple[str, ...]:
    return (f"ssl_certfile={files().client.certificate}", *arguments)


def refused(url: str, said: str) -> redcol.TLSError:
    with pytest.raises(redcol.TLSError, match=said) as caught:
        redcol.connect(url)
    error = caught.value
    assert isinstance(error, redcol.ConnectionFailedError)
    assert error.status == -22
    assert PASSWORD not in str(error)
    assert str(error).startswith(("connecting to rediss://", "logging in to rediss://"))
    return error


@pytest.mark.parametrize("kind", REFUSED)
def test_certificates_that_are_refused(server: Server, kind: str, given: Files) -> None:
    name, host, said = REFUSED[kind]
    with Relay(server.socket_path, getattr(given, name), weak=name == "weak") as relay:
        url = relay.url(host=host)
        refused(url, said)
        with pytest.raises(redcol.TLSError, match=said):
            redcol.iter_stream(url, "s", on_idle="wait", reconnect_timeout_ms=None)
        with pytest.raises(redcol.TLSError, match=said):
            redcol.read_stream(url, "s")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_that_is_accepted(server: Server, host: str) -> None:
    with Relay(server.socket_path) as relay:
        with redcol.connect(relay.url(host=host)) as client:
            assert repr(client) == f"<redcol.Client rediss://{host}:{relay.port}>"
        # Addresses are not asked for: RFC 6066.
        assert relay.names == ["localhost" if host == "localhost" else None]


@pytest.mark.parametrize("scheme", ["rediss", "REDISS", "valkeys"])
def test_the_schemes(scheme: str) -> None:
    with TLSServer() as server:
        url = server.url.replace("rediss", scheme)
        redcol.connect(url).close()


@pytest.mark.parametrize("name", ["unknown", "self_signed", "other_host", "expired"])
def test_certificates_need_not_be_checked(server: Server, name: str, given: Files) -> None:
    with Relay(server.socket_path, getattr(given, name)) as relay:
        # The authority is named, too, which is often so.
        redcol.connect(relay.url("ssl_cert_reqs=none", "ssl_check_hostname=false")).close()
        redcol.connect(f"rediss://localhost:{relay.port}", ssl_cert_reqs="none").close()


def test_hosts_need_not_be_checked(server: Server, given: Files) -> None:
    with Relay(server.socket_path, given.other_host) as relay:
        # As redis-py writes it, too.
        for value in ("false", "False"):
            redcol.connect(relay.url(f"ssl_check_hostname={value}")).close()
        redcol.connect(relay.url(), ssl_check_hostname=False).close()
        refused(relay.url("ssl_check_hostname=true"), "another host")
    with Relay(server.socket_path, given.expired) as relay:
        refused(relay.url("ssl_check_hostname=false"), "expired")


def test_a_folder_of_certificates(server: Server, given: Files, tmp_path: Path) -> None:
    shutil.copy(given.authority.file, tmp_path / "authority.pem")
    openssl("rehash", tmp_path)
    with Relay(server.socket_path) as relay:
        redcol.connect(relay.url(f"ssl_ca_path={tmp_path}")).close()
        redcol.connect(f"rediss://127.0.0.1:{relay.port}", ssl_ca_path=tmp_path).close()


# What the system trusts.

PROGRAM = """
import sys
import redcol
try:
    redcol.connect(sys.argv[1]).close()
except redcol.RedcolError as error:
    print(type(error).__name__, error)
else:
    print("connected")
"""


def in_a_program(url: str, program: str = PROGRAM, **environment: str) -> str:
    path = os.pathsep.join(sys.path)
    run = subprocess.run(
        [sys.executable, "-c", program, url],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_certificates_of_the_system(server: Server, given: Files, tmp_path: Path) -> None:
    shutil.copy(given.authority.file, tmp_path / "authority.pem")
    openssl("rehash", tmp_path)
    with Relay(server.socket_path) as relay:
        url = f"rediss://127.0.0.1:{relay.port}"
        assert in_a_program(url).startswith("TLSError ")
        assert in_a_program(url, SSL_CERT_FILE=given.authority.file) == "connected\n"
        assert in_a_program(url, SSL_CERT_DIR=str(tmp_path)) == "connected\n"


def test_certifi_where_the_system_has_no_certificates(
    server: Server, given: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "certifi.py").write_text(f"def where(): return {given.authority.file!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with Relay(server.socket_path) as relay:
        url = f"rediss://127.0.0.1:{relay.port}"
        refused(url, "ssl_ca_certs")
        monkeypatch.setattr(_native, "feature", lambda _: False)
        for scheme in ("rediss", "REDISS", "valkeys"):
            redcol.connect(url.replace("rediss", scheme)).close()
        # What is named holds, and nothing else.
        refused(f"{url}?ssl_ca_certs={given.other_authority.file}", "issuer")
        with pytest.raises(redcol.TLSError):
            redcol.connect(url, ssl_ca_certs=given.other_authority.file)
    monkeypatch.delitem(sys.modules, "certifi")


def test_pythons_openssl_is_loaded_first(server: Server) -> None:
    """One of the system, loaded before it, could be in its way."""
    program = (
        "import sys, redcol; assert 'ssl' not in sys.modules; "
        "redcol.connect(sys.argv[1]).close(); print('ssl' in sys.modules)"
    )
    with Relay(server.socket_path) as relay:
        assert in_a_program(relay.url(), program) == "True\n"


def test_the_dot_at_the_end_of_a_name(
    server: Server,
    preloaded: Path,  # noqa: F811
) -> None:
    """Certificates do not have it, and no server is asked for it: RFC 6066."""
    program = "import sys, redcol; redcol.connect(sys.argv[1]).close()"
    with Relay(server.socket_path) as relay:
        command = [sys.executable, "-c", program, relay.url(host="localhost.")]
        variables = environment(preloaded, ["127.0.0.1"])
        subprocess.run(command, env=variables, check=True, timeout=60)
        assert relay.names == ["localhost"]


def test_the_zone_of_an_address(server: Server) -> None:
    """Certificates do not have it."""
    with Relay(server.socket_path, host="::1") as relay:
        redcol.connect(relay.url(host="[::1%251]")).close()


def test_roots_are_found_where_openssl_looks(tmp_path: Path) -> None:
    program = "from redcol import _native; print(_native.feature('tls_roots'))"
    assert in_a_program("", program, SSL_CERT_FILE=str(tmp_path / "any")) == "True\n"
    assert in_a_program("", program) == f"{any(map(has_any, ssl.get_default_verify_paths()[:2]))}\n"


def has_any(path: str | None) -> bool:
    return path is not None and (Path(path).is_file() or any(Path(path).iterdir()))


# Certificates of the client.


def test_a_certificate_of_the_client(guarded: TLSServer, given: Files) -> None:
    key = f"ssl_keyfile={given.client.key}"
    redcol.connect(guarded.tls_url(*mutual(key))).close()
    redcol.connect(guarded.tls_url(f"ssl_certfile={given.both}")).close()
    redcol.connect(guarded.url, ssl_certfile=given.both).close()
    redcol.connect(
        f"rediss://localhost:{guarded.tls_port}",
        ssl_ca_certs=given.authority.file,
        ssl_certfile=given.client.certificate,
        ssl_keyfile=given.encrypted_key,
        ssl_password=PASSWORD,
    ).close()


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_server_that_refuses_the_client(version: str, given: Files) -> None:
    with TLSServer(clients="yes", args=("--tls-protocols", version)) as server:
        refused(server.url, r"certificate of the client.*ssl_certfile")
        stranger = given.other_client
        refused(
            server.tls_url(f"ssl_certfile={stranger.certificate}", f"ssl_keyfile={stranger.key}"),
            "refused the certificate of ssl_certfile",
        )
        redcol.connect(server.tls_url(f"ssl_certfile={given.both}")).close()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (("ssl_ca_certs=/nowhere/ca",), r"ssl_ca_certs \(/nowhere/ca\) cannot be read: No such"),
        (("ssl_ca_certs=/etc/hostname",), r"ssl_ca_certs \(/etc/hostname\) does not hold .* PEM"),
        (("ssl_ca_path=/nowhere",), r"ssl_ca_path \(/nowhere\) cannot be read: No such file"),
        (("ssl_certfile=/nowhere/c",), r"ssl_certfile \(/nowhere/c\) cannot be read"),
        (("ssl_certfile=/etc/hostname",), r"ssl_certfile \(/etc/hostname\) does not hold"),
        (("ssl_certfile={client}",), r"ssl_keyfile \(.*client.pem\) does not hold"),
        (("ssl_certfile={client}", "ssl_keyfile=/nowhere/k"), r"ssl_keyfile \(/nowhere/k\) cannot"),
        (("ssl_certfile={client}", "ssl_keyfile={server_key}"), "does not belong to the certif"),
        (("ssl_certfile={client}", "ssl_keyfile={weak_key}"), "does not belong to the certificate"),
        (("ssl_certfile={client}", "ssl_keyfile={encrypted}"), "is encrypted; .* ssl_password"),
        (
            ("ssl_certfile={client}", "ssl_keyfile={encrypted}", f"ssl_password=not{PASSWORD}"),
            "cannot be decrypted with ssl_password; check the password",
        ),
    ],
)
def test_files_that_cannot_be_used(parameters: tuple[str, ...], said: str, given: Files) -> None:
    paths = {
        "client": given.client.certificate,
        "server_key": given.server.key,
        "weak_key": given.weak.key,
        "encrypted": given.encrypted_key,
    }
    with FakeServer(silent) as fake:
        refused(tls_url(1, *(one.format(**paths) for one in parameters)), said)
        assert fake.commands == []


def test_files_that_were_replaced_are_read_again(given: Files, tmp_path: Path) -> None:
    """While an iterator runs, the server and the client get certificates of another authority."""
    trusted, own = tmp_path / "trusted.pem", tmp_path / "own.pem"
    trusted.write_text(given.authority.own.certificate.read_text())
    own.write_text(given.both.read_text())
    with TLSServer(clients="yes") as server, server.client() as db:
        db.xadd("s", {"a": 1}, id="1-1")
        url = server.tls_url(f"ssl_ca_certs={trusted}", f"ssl_certfile={own}")
        with redcol.iter_stream(url, "s", block_ms=50) as batches:
            assert next(batches)["_id"].to_list() == ["1-1"]
            files_of_other = given.other_authority.sign("successor")
            pairs = (files_of_other, given.other_client)
            trusted.write_text(given.other_authority.own.certificate.read_text())
            own.write_text(pairs[1].certificate.read_text() + pairs[1].key.read_text())
            db.config_set("tls-ca-cert-file", given.other_authority.file)
            db.execute_command(
                *("CONFIG", "SET", "tls-cert-file", str(pairs[0].certificate)),
                *("tls-key-file", str(pairs[0].key)),
            )
            db.client_kill_filter(_type="normal", skipme=True)
            db.xadd("s", {"a": 2}, id="2-1")
            assert next(batches)["_id"].to_list() == ["2-1"]


# Versions, and servers that speak something else.


def test_versions(server: Server) -> None:
    with Relay(server.socket_path, version=ssl.TLSVersion.TLSv1_2) as relay:
        redcol.connect(relay.url()).close()
        refused(relay.url("ssl_min_version=TLSv1.3"), "no version of TLS that is allowed")
        with pytest.raises(redcol.TLSError):
            redcol.connect(relay.url(), ssl_min_version="TLSv1.3")
    with Relay(server.socket_path, version=ssl.TLSVersion.TLSv1_3) as relay:
        redcol.connect(relay.url("ssl_min_version=TLSv1.3")).close()


def test_tls_to_a_server_that_speaks_none() -> None:
    with Server(REDIS_7, tcp=True) as plain:
        url = tls_url(plain.port)
        # It waits for the end of a line that does not come.
        with pytest.raises(redcol.TimedOutError, match=r"does not speak TLS .* use redis://"):
            redcol.connect(url, connect_timeout_ms=2_000)


def test_an_answer_that_is_not_tls() -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"-ERR Protocol error\r\n")
                connection.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        refused(tls_url(listener.getsockname()[1]), "does not speak TLS .* use redis://")
        thread.join()


def test_no_tls_to_a_server_that_speaks_it() -> None:
    with TLSServer() as server, pytest.raises(redcol.ConnectionFailedError) as caught:
        redcol.connect(f"redis://127.0.0.1:{server.tls_port}")
    assert "if the server speaks TLS at this port, use rediss://" in str(caught.value)


# Arguments.


def test_options_of_tls_need_tls() -> None:
    with FakeServer(silent) as fake:
        for arguments in ({"ssl_ca_certs": "x"}, {"ssl_check_hostname": False}):
            with pytest.raises(redcol.InvalidArgumentError, match="begin the URL with rediss://"):
                redcol.connect(fake.url, **arguments)
        with pytest.raises(redcol.InvalidArgumentError, match='unknown parameter "ssl_ca_certs"'):
            redcol.connect(f"{fake.url}?ssl_ca_certs=x")
        assert fake.commands == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"ssl_ca_certs": 1}, "ssl_ca_certs must be a str or a path"),
        ({"ssl_ca_certs": ""}, "ssl_ca_certs"),
        ({"ssl_certfile": "a\0b"}, "ssl_certfile"),
        ({"ssl_cert_reqs": "optional"}, "ssl_cert_reqs must be 'required' or 'none'"),
        ({"ssl_check_hostname": "yes"}, "ssl_check_hostname must be True or False"),
        ({"ssl_min_version": "TLSv1"}, "ssl_min_version must be"),
        ({"ssl_password": b"bytes", "ssl_certfile": "c"}, "ssl_password must be a str"),
        (
            {"ssl_cert_reqs": "none", "ssl_check_hostname": True},
            "ssl_check_hostname cannot be true",
        ),
        ({"ssl_keyfile": "k"}, "need ssl_certfile"),
        ({"ssl_password": PASSWORD}, "need ssl_certfile"),
    ],
)
def test_arguments_that_cannot_be_right(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match=said) as caught:
        redcol.connect("rediss://localhost:1", **arguments)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("parameter", ["ssl_cert_reqs=optional", "ssl_min_version=1", "ssl_x=1"])
def test_parameters_that_cannot_be_right(parameter: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match=parameter.partition("=")[0]):
        redcol.connect(f"rediss://localhost:1?{parameter}")


def test_the_password_of_a_key_is_hidden() -> None:
    with pytest.raises(redcol.RedcolError) as caught:
        redcol.connect("rediss://localhost:1", ssl_certfile="/nowhere", ssl_password=PASSWORD)
    traceback = caught.value.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename != __file__:
            assert PASSWORD not in repr(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next


# Without OpenSSL.

NO_OPENSSL = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
void *dlopen(const char *name, int flags) {
  void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
  return name != 0 && strstr(name, "libssl") != 0 ? 0 : next(name, flags);
}
"""


def test_a_machine_without_openssl(tmp_path: Path) -> None:
    library = tmp_path / "no_openssl.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
    subprocess.run(command, input=NO_OPENSSL, text=True, check=True)
    said = in_a_program("rediss://localhost:1", LD_PRELOAD=str(library))
    assert said.startswith("UnsupportedError connecting to rediss://localhost:1: TLS needs OpenSSL")
    assert "libssl3" in said
    program = "from redcol import _native; print(_native.feature('tls'))"
    assert in_a_program("", program, LD_PRELOAD=str(library)) == "False\n"
    assert in_a_program("", program) == "True\n"
