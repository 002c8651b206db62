"""How webhooks fare, for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.webhooks import Webhooks


class WebhookCollector(Collector):
    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def collect(self) -> Iterator[Metric]:
        counts = self._webhooks.counts()
        for state, words in (("pending", "Messages still to be delivered."), ("dead", "Messages that were given up.")):
            family = GaugeMetricFamily(f"gatewatch_webhook_{state}", words, labels=["webhook"])
            for webhook_id, number in counts.items():
                family.add_metric([webhook_id], number.get(state, 0))
            yield family
        sender = self._webhooks.sender
        yield CounterMetricFamily("gatewatch_webhook_delivered", "Messages delivered.", value=sender.delivered)
        yield CounterMetricFamily("gatewatch_webhook_failed", "Attempts that failed.", value=sender.failed)
