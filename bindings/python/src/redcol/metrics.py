# SPDX-License-Identifier: Apache-2.0
"""Metrics of this process' iterators for Prometheus, with prometheus_client (`redcol[metrics]`)."""

from __future__ import annotations

from collections.abc import Iterator

from . import _log, _native_lists
from ._frames import Frames
from ._living import LIVING, Reads
from ._typing import TYPE_CHECKING
from .errors import RedcolError

if TYPE_CHECKING:
    from typing import Any, Final, Protocol
else:
    Protocol = object

_LABELS: Final = ("stream", "group")
#: Each counter's name, what it counts, and its place among what iterators count.
_COUNTERS: Final = (
    ("redcol_entries_delivered", "Entries handed over to the program.", 0),
    ("redcol_entries_acknowledged", "Pending entries that were acknowledged.", 1),
    ("redcol_reconnects", "Connections that were lost.", 2),
)
_GAUGES: Final = (
    ("redcol_group_lag_entries", "Entries that the group has not delivered yet.", "lag"),
    ("redcol_group_pending_entries", "Entries delivered and not acknowledged.", "pending"),
)


class Collector(Protocol):
    """What ``prometheus_client.CollectorRegistry.register`` takes."""

    def collect(self) -> Iterator[Any]:
        """The metrics as they are now."""

    def describe(self) -> Iterator[Any]:
        """The metrics without their values."""


def collector() -> Collector:
    """Make a collector of the metrics of this process' iterators.

    It has counters for every stream and group (``""`` without a group) that iterators of this
    process have read: ``redcol_entries_delivered_total``, ``redcol_entries_acknowledged_total`` and
    ``redcol_reconnects_total``. They include iterators that are open when the collector is made,
    and those that have ended since. If an iterator reads several streams, the label ``stream`` has
    all their names with commas between them. For the groups of iterators that are open it has the
    gauges ``redcol_group_lag_entries`` and ``redcol_group_pending_entries``, one for each stream:
    the whole group's, as :func:`redcol.list_groups` lists them. They are asked for at each scrape,
    on a connection of their own. They are missing where the server does not know them, or does not
    answer within the client's time limits. If several servers have the same names, counters are
    added up, and a gauge is the largest number.

    Returns:
        An object for ``prometheus_client.REGISTRY.register``.

    Raises:
        ImportError: prometheus_client is not installed.

    Example:
        >>> from prometheus_client import CollectorRegistry, generate_latest
        >>> import redcol, redcol.metrics
        >>> registry = CollectorRegistry()
        >>> registry.register(redcol.metrics.collector())
        >>> batches = redcol.iter_stream(
        ...     "redis://localhost", "events", group="billing", consumer="worker-1", batch_size=1
        ... )
        >>> batches.ack(next(batches))
        1
        >>> for line in generate_latest(registry).decode().splitlines():
        ...     if 'group="billing"' in line:
        ...         print(line)
        redcol_entries_delivered_total{group="billing",stream="events"} 1.0
        redcol_entries_acknowledged_total{group="billing",stream="events"} 1.0
        redcol_reconnects_total{group="billing",stream="events"} 0.0
        redcol_group_lag_entries{group="billing",stream="events"} 1.0
        redcol_group_pending_entries{group="billing",stream="events"} 0.0
        >>> batches.close()
    """
    from importlib import import_module

    try:
        core = import_module("prometheus_client.core")
    except ModuleNotFoundError:
        raise ImportError(
            "redcol.metrics needs prometheus_client, which is not installed: pip install "
            '"redcol[metrics]".',
            name="prometheus_client",
        ) from None
    LIVING.keeps_sums = True
    return _Collector(core)


class _Collector:
    def __init__(self, core: Any) -> None:
        self._new_counter = core.CounterMetricFamily
        self._new_gauge = core.GaugeMetricFamily

    def describe(self) -> Iterator[Any]:
        for name, text, _ in _COUNTERS:
            yield self._new_counter(name, text, labels=_LABELS)
        for name, text, _ in _GAUGES:
            yield self._new_gauge(name, text, labels=_LABELS)

    def collect(self) -> Iterator[Any]:
        counts = {_labels(reads): sums for reads, sums in LIVING.counts().items()}
        for name, text, place in _COUNTERS:
            counter = self._new_counter(name, text, labels=_LABELS)
            for labels, sums in sorted(counts.items()):
                counter.add_metric(labels, sums[place])
            yield counter
        groups = _groups()
        for name, text, column in _GAUGES:
            gauge = self._new_gauge(name, text, labels=_LABELS)
            for labels, numbers in sorted(groups.items()):
                if column in numbers:
                    gauge.add_metric(labels, numbers[column])
            yield gauge


def _labels(reads: Reads) -> tuple[str, str]:
    return ",".join(map(Frames.stream_name, reads.streams)), reads.group or ""


def _groups() -> dict[tuple[str, str], dict[str, int]]:
    """The numbers of the groups that iterators of this process belong to, by labels.

    A server that iterators have several addresses of is asked several times.
    """
    import polars as pl

    from .arrow import ArrowTable

    clients = {}
    wanted: dict[str, set[tuple[bytes, str]]] = {}
    for client, server, reads in LIVING.members():
        clients[server] = client
        wanted.setdefault(server, set()).update((name, reads.group) for name in reads.streams)
    found: dict[tuple[str, str], dict[str, int]] = {}
    for server, client in clients.items():
        try:
            streams = sorted({stream for stream, _ in wanted[server]})
            table = ArrowTable(_native_lists.list_groups(client, streams, {}))
        except RedcolError as error:
            _log.warn("metrics", f"the metrics have no lag and no pending entries: {error}")
            continue
        labels = {_labels(Reads((stream,), group)) for stream, group in wanted[server]}
        for row in pl.DataFrame(table).iter_rows(named=True):
            key = (row["stream"], row["group"])
            if key not in labels:
                continue
            numbers = found.setdefault(key, {})
            for _, _, column in _GAUGES:
                if row[column] is not None:
                    numbers[column] = max(row[column], numbers.get(column, 0))
    return found
