# SPDX-License-Identifier: Apache-2.0
"""An authority and its certificates, made by the openssl command once per session; and servers and
relays that speak TLS with them."""

from __future__ import annotations

import atexit
import contextlib
import functools
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from servers import REDIS_7, Server, free_port

PASSWORD = "k3y-s3cr3t"
_LONG_AGO, _AGO, _SOON, _LATER = (
    f"{day}000000Z" for day in (20200101, 20200201, 21000101, 21000201)
)

_CONFIGURATION = """
[ca]
default_ca = it
[it]
dir = {folder}
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = optional
[req]
distinguished_name = name
prompt = no
[name]
CN = redcol tests
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[end]
basicConstraints = CA:false
subjectAltName = {names}
[client]
basicConstraints = CA:false
[only_clients]
basicConstraints = CA:false
extendedKeyUsage = clientAuth
subjectAltName = {names}
"""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, in a folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        folder.mkdir()
        (folder / "index").touch()
        (folder / "serial").write_text("1000\n")
        self.own = Pair(folder / "authority.pem", folder / "authority.key")
        self._configure("DNS:unused")
        self._openssl(
            *("req", "-x509", *self._new_key(self.own.key), "-days", "3650"),
            *("-subj", f"/CN={name}", "-extensions", "authority", "-out", self.own.certificate),
        )

    @property
    def file(self) -> str:
        return str(self.own.certificate)

    def sign(
        self,
        name: str,
        *,
        names: str = "DNS:localhost,IP:127.0.0.1,IP:::1",
        valid: tuple[str, str] = (_LONG_AGO, _LATER),
        extensions: str = "end",
        key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    ) -> Pair:
        """A certificate for these names."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request = self.folder / f"{name}.csr"
        self._configure(names)
        self._openssl("req", *self._new_key(pair.key, key), "-subj", f"/CN={name}", "-out", request)
        self._openssl(
            *("ca", "-batch", "-in", request, "-out", pair.certificate, "-notext"),
            *("-cert", self.own.certificate, "-keyfile", self.own.key),
            *("-extensions", extensions, "-startdate", valid[0], "-enddate", valid[1]),
        )
        return pair

    def self_signed(self, name: str) -> Pair:
        """A certificate that no authority has signed."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        self._configure("DNS:localhost,IP:127.0.0.1")
        self._openssl(
            *("req", "-x509", *self._new_key(pair.key), "-days", "3650"),
            *("-subj", f"/CN={name}", "-extensions", "end", "-out", pair.certificate),
        )
        return pair

    @staticmethod
    def _new_key(
        path: Path, key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    ) -> tuple[str | Path, ...]:
        return ("-newkey", *key, "-nodes", "-keyout", path)

    def _configure(self, names: str) -> None:
        text = _CONFIGURATION.format(folder=self.folder, names=names)
        (self.folder / "configuration").write_text(text)

    def _openssl(self, command: str, *arguments: str | Path) -> None:
        openssl(command, "-config", self.folder / "configuration", *arguments)


def openssl(*arguments: str | Path) -> None:
    run = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


class Files:
    """All that the tests present to each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "ca", "redcol test authority")
        self.other_authority = Authority(folder / "other", "another authority")
        sign = self.authority.sign
        self.server = sign("server")
        self.client = sign("client", extensions="client")
        self.no_server = sign("no-server", extensions="only_clients")
        self.expired = sign("expired", valid=(_LONG_AGO, _AGO))
        self.not_yet_valid = sign("early", valid=(_SOON, _LATER))
        self.other_host = sign("elsewhere", names="DNS:elsewhere.example,IP:192.0.2.1")
        self.weak = sign("weak", key=("rsa:1024",))
        self.self_signed = self.authority.self_signed("itself")
        self.unknown = self.other_authority.sign("unknown")
        self.other_client = self.other_authority.sign("stranger", extensions="client")
        self.encrypted_key = folder / "encrypted.key"
        openssl(
            *("pkcs8", "-topk8", "-in", self.client.key, "-out", self.encrypted_key),
            *("-v2", "aes256", "-passout", f"pass:{PASSWORD}"),
        )
        self.both = folder / "both.pem"
        self.both.write_text(self.client.certificate.read_text() + self.client.key.read_text())

    def arguments(self, pair: Pair | None = None, *, clients: str = "no") -> tuple[str, ...]:
        """Of redis-server: TLS with a certificate."""
        pair = pair or self.server
        return (
            *("--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key)),
            *("--tls-ca-cert-file", self.authority.file, "--tls-auth-clients", clients),
        )


@functools.cache
def files() -> Files:
    folder = Path(tempfile.mkdtemp(prefix="redcol-tls-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Files(folder)


class TLSServer(Server):
    """Debian's redis-server with a port for TLS."""

    def __init__(
        self, pair: Pair | None = None, *, clients: str = "no", args: tuple[str, ...] = ()
    ):
        self.tls_port = free_port()
        more = ("--tls-port", str(self.tls_port), *files().arguments(pair, clients=clients))
        super().__init__(REDIS_7, args=(*more, *args))

    @property
    def url(self) -> str:
        return self.tls_url()

    def tls_url(self, *parameters: str, host: str = "127.0.0.1") -> str:
        return tls_url(self.tls_port, *parameters, host=host)


class RelayedServer(Server):
    """A server that does not speak TLS itself, behind a relay that does."""

    def __init__(self, binary: Path):
        super().__init__(binary)
        self.relay = Relay(self.socket_path)

    @property
    def url(self) -> str:
        return self.relay.url()

    def stop(self) -> None:
        self.relay.stop()
        super().stop()


def tls_url(port: int, *parameters: str, host: str = "127.0.0.1") -> str:
    """`parameters`: of the URL; the tests' authority is among them unless something else is."""
    given = parameters
    if not any(one.startswith("ssl_ca") for one in given):
        given = (*given, f"ssl_ca_certs={files().authority.file}")
    return f"rediss://{host}:{port}?" + "&".join(given)


class Relay:
    """Speaks TLS to clients, and passes what they say to the unix socket of a server."""

    def __init__(
        self,
        target: Path,
        pair: Pair | None = None,
        *,
        version: ssl.TLSVersion | None = None,
        weak: bool = False,
        host: str = "127.0.0.1",
    ):
        self.target = str(target)
        self.version = version
        self.is_weak = weak
        #: Of each connection whose handshake has ended: whether it resumed an earlier session.
        self.resumed: list[bool] = []
        #: The name that each client has asked for.
        self.names: list[str | None] = []
        self.present(pair or files().server)
        self.stopping = threading.Event()
        #: While it is set nothing is read from clients.
        self.is_deaf = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family)
        self.port = int(self.listener.getsockname()[1])
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def present(self, pair: Pair) -> None:
        """Show this certificate from the next connection on, which resumes no session."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.is_weak:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(pair.certificate, pair.key)
        if self.version is not None:
            context.minimum_version = context.maximum_version = self.version
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.context = context

    def url(self, *parameters: str, host: str = "127.0.0.1") -> str:
        return tls_url(self.port, *parameters, host=host)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain, socket.socket(socket.AF_UNIX) as server:
            plain.settimeout(30)
            server.connect(self.target)
            with self.context.wrap_socket(plain, server_side=True) as client:
                self.resumed.append(bool(client.session_reused))
                self._relay(client, server)

    def _relay(self, client: ssl.SSLSocket, server: socket.socket) -> None:
        while not self.stopping.is_set():
            listened = [server] if self.is_deaf.is_set() else [client, server]
            ready = [client] if client in listened and client.pending() else []
            ready = ready or select.select(listened, [], [], 0.05)[0]
            if client in ready:
                if not (data := client.recv(65_536)):
                    return
                server.sendall(data)
            if server in ready:
                if not (data := server.recv(65_536)):
                    return
                self.answer(client, data)

    def answer(self, client: ssl.SSLSocket, data: bytes) -> None:
        """Pass on what the server says."""
        client.sendall(data)

    def wait_until_all_have_ended(self) -> None:
        """Wait until the connections that the server has closed are closed for their clients."""
        for thread in self.threads[1:]:
            thread.join(60)

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
