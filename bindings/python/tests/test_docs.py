# SPDX-License-Identifier: Apache-2.0
"""What is written down runs: docstrings' examples, and the README files' Python blocks."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import redcol
from tls_files import TLSServer, files

READMES = [path for up in (1, 3) if (path := Path(__file__).parents[up] / "README.md").is_file()]
# The blocks about engines run where there are engines: engines/test_spark_docs.py and test_ray.py.
READMES += (
    path
    for path in Path(__file__).parents[3].glob("docs/*.md")
    if path.stem not in ("engines", "ray")
)
FULLY_DOCUMENTED = [
    *("read_stream", "read_streams", "scan_stream", "scan_streams", "read_arrow"),
    *("iter_stream", "stream_batches", "connect", "ack_entries", "write_stream", "write_hashes"),
    *("create_group", "delete_group", "seek_group", "delete_consumer", "release", "trim_stream"),
    *("delete_entries", "claim", "export_stream"),
    *("list_streams", "list_groups", "list_consumers", "list_pending", "partitions"),
    *("iter_pubsub", "iter_pubsub_async", "collect_pubsub", "publish"),
]
ENGINES = ("spark", "ray")
MODULES = [
    "redcol",
    *(
        f"redcol.{module.name}"
        for module in pkgutil.iter_modules(redcol.__path__)
        if module.name not in ENGINES
    ),
]


def blocks() -> Iterator[object]:
    for path in READMES:
        found = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
        for number, text in enumerate(found):
            yield pytest.param(text, id=f"{path.parent.name}-{path.stem}-{number}")


@pytest.fixture
def server() -> Iterator[TLSServer]:
    """A private server with the stream of the examples."""
    with TLSServer() as server:
        with server.client() as db:
            for index, action in enumerate(("click", "view")):
                fields = {"user_id": f"user_{index}", "action": action, "value": (index + 1) * 10}
                db.xadd("events", fields, id=f"{1_704_067_200_000 + index}-0")
            db.xgroup_create("events", "analytics", "0")
            db.xreadgroup("analytics", "worker-1", {"events": ">"})
            db.execute_command("ACL", "SETUSER", "app", "on", ">password", "~*", "+@all")
        yield server


@pytest.fixture
def localhost(server: TLSServer) -> str:
    """What stands in place of redis://localhost."""
    return f"unix://{server.socket_path}"


def on(server: TLSServer, localhost: str, text: str) -> str:
    """A program of the documents, for the private server."""
    text = text.replace("redis://localhost", localhost)
    text = text.replace("cache.example.com:6380", f"localhost:{server.tls_port}")
    return text.replace("/etc/ssl/cache-ca.pem", files().authority.file)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(localhost: str, name: str) -> None:
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        if not test.examples or not test.name.startswith(name):
            continue
        for example in test.examples:
            example.source = example.source.replace("redis://localhost", localhost)
        result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
        assert result.failed == 0
        assert result.attempted > 0


def test_public_functions_have_examples_and_name_every_parameter() -> None:
    for name in redcol.__all__:
        documented = getattr(redcol, name)
        assert documented.__doc__, name
        if name in FULLY_DOCUMENTED:
            assert "Example:" in documented.__doc__
            for parameter in documented.__annotations__:
                if parameter != "return":
                    assert f"\n    {parameter}: " in re.sub("    +", "    ", documented.__doc__)


@pytest.mark.parametrize("text", list(blocks()))
def test_readme_blocks(
    server: TLSServer,
    localhost: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(on(server, localhost, text), "README.md", "exec"), {})
