"""How many are connected and how many were refused, for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gatewatch.connections import WHY, Door


class ConnectionCollector(Collector):
    def __init__(self, door: Door) -> None:
        self._door = door

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("gatewatch_connections", "Open connections.", value=self._door.open)
        refused = CounterMetricFamily(
            "gatewatch_connections_refused", "Connections that were refused or cut off.", labels=["why"]
        )
        for why in WHY:
            refused.add_metric([why], self._door.tally.total[why])
        yield refused
