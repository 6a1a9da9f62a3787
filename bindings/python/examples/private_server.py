# SPDX-License-Identifier: Apache-2.0
"""A redis-server of one's own, on a unix socket, which ends with the program; saves nothing."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry


@contextlib.contextmanager
def private_server() -> Iterator[str]:
    """Start a server; the value is its URL."""
    with tempfile.TemporaryDirectory(prefix="redcol-") as folder:
        socket = f"{folder}/redis.sock"
        command = ["redis-server", "--port", "0", "--unixsocket", socket]
        command += ["--dir", folder, "--save", "", "--logfile", f"{folder}/log"]
        process = subprocess.Popen(command)
        try:
            # Ask for 10 seconds, while the server starts.
            retry = Retry(ConstantBackoff(0.01), 1_000)
            with redis.Redis(unix_socket_path=socket, retry=retry) as client:
                client.ping()
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait()
