"""What the operating system says of this process."""

from collections.abc import Mapping

from prometheus_client import ProcessCollector

from gateway.observability import metrics_families as families
from gateway.observability.metrics_families import Family

_COLLECTOR = ProcessCollector(registry=None)
_WANTED = (
    families.PROCESS_CPU,
    families.PROCESS_MEMORY,
    families.PROCESS_FILES,
    families.PROCESS_MOST_FILES,
    families.PROCESS_START,
)


def process_values() -> Mapping[Family, float]:
    """Return CPU, memory, descriptors and start; nothing where there is no `/proc`."""
    found = {sample.name: sample.value for metric in _COLLECTOR.collect() for sample in metric.samples}
    return {family: found[family.name] for family in _WANTED if family.name in found}
