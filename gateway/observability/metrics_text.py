"""The text that Prometheus and its kin read, written from a state."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.observability.metrics_families import FAMILIES, Family, Kind
from gateway.observability.metrics_state import MetricsState, Series, labels_of

OPENMETRICS = "application/openmetrics-text"
_MICROSECONDS = 1_000_000


def exposition(state: MetricsState, accept: str = "") -> tuple[bytes, str]:
    """Return the text and its media type: OpenMetrics when `accept`, an Accept field, asks for it, else the
    text format of Prometheus, which everybody reads.

    Takes milliseconds for a thousand series: not for the event loop.
    """
    # The library would repeat the version that was asked for, whatever it says.
    encode, media_type = choose_encoder(OPENMETRICS if OPENMETRICS in accept.lower() else "")
    return encode(_Collected(state)), media_type


class _Collected(Collector):
    """A state as the library wants to see it."""

    def __init__(self, state: MetricsState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        for name, family in FAMILIES.items():
            series = self._state.get(name)
            if series:
                yield _metric(family, series)


def _metric(family: Family, series: Series) -> Metric:
    name, text, names = family.name, family.help, family.all_labels
    metric: GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily | InfoMetricFamily
    match family.kind:
        case Kind.COUNTER:
            metric = CounterMetricFamily(name, text, labels=names)
        case Kind.GAUGE:
            metric = GaugeMetricFamily(name, text, labels=names)
        case Kind.HISTOGRAM:
            metric = HistogramMetricFamily(name, text, labels=names)
        case Kind.INFO:
            metric = InfoMetricFamily(name.removesuffix("_info"), text)
    for key, numbers in sorted(series.items()):
        labels = labels_of(key, family)
        if isinstance(metric, InfoMetricFamily):
            metric.add_metric([], dict(zip(names, labels, strict=True)))
        elif isinstance(metric, HistogramMetricFamily):
            bounds = (*(format(bound, "g") for bound in family.bounds), "+Inf")
            buckets = list(zip(bounds, accumulate(numbers[1:]), strict=True))
            metric.add_metric(labels, buckets, numbers[0] / _MICROSECONDS)
        else:
            metric.add_metric(labels, numbers[0])
    return metric
