"""The metrics of one process, or of many, as a plain value: sent between processes as JSON, and merged.

Pure functions. A state is small: a series exists when it has been counted, and labels come from tables.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import add

from gateway.observability.metrics_families import FAMILIES, Family, Kind

Number = int | float
ByLabels = Mapping[str, Number] | Mapping[tuple[str, str], Number] | Mapping[tuple[str, str, str], Number]
"""Numbers by the value of a label, or by the values of several."""
Read = Number | ByLabels
"""What a source says of one metric."""
Series = dict[str, list[Number]]
"""By the values of the labels: one number; of a histogram the sum in whole microseconds, which add up without
rounding, and then how many fell into each bucket."""
MetricsState = dict[str, Series]
"""By the name of the family."""

_BETWEEN = "\x1f"
"""Stands between the values of labels in a key."""
_ENDS_WITH_ITS_PROCESS = frozenset({Kind.GAUGE, Kind.INFO})


def state_of(values: Mapping[Family, Read], *, worker: str = "") -> MetricsState:
    """Return a state that says this; `worker` names the process for metrics that are kept per worker.

    Raise `ValueError` when there are not as many values as labels.
    """
    state: MetricsState = {}
    for family, value in values.items():
        if isinstance(value, Mapping):
            series = {key_of(family, labels, worker): [number] for labels, number in value.items()}
        else:
            series = {key_of(family, (), worker): [value]}
        state[family.name] = series
    return state


@lru_cache(maxsize=100_000)
def key_of(family: Family, labels: str | tuple[str, ...], worker: str = "") -> str:
    """Return the key of a series. Raise `ValueError` when there are not as many values as labels."""
    if isinstance(labels, str):
        labels = (labels,)
    if len(labels) != len(family.labels):
        raise ValueError(f"{family.name} has the labels {family.labels}, not values {labels}")
    values = (worker, *labels) if family.per_worker else labels
    return _BETWEEN.join(value.replace(_BETWEEN, " ") for value in values)


def labels_of(key: str, family: Family) -> list[str]:
    """Return the values of the labels, in the order of `Family.all_labels`."""
    return key.split(_BETWEEN) if family.all_labels else []


def merged_state(states: Iterable[MetricsState]) -> MetricsState:
    """Return what several processes are together: sums, and the worst of what cannot be summed."""
    merged: MetricsState = {}
    for state in states:
        for name, series in state.items():
            together = merged.get(name)
            if together is None:
                merged[name] = series.copy()
                continue
            family = FAMILIES[name]
            join: Callable[[Number, Number], Number] = (
                max if family.largest or family.kind is Kind.INFO else add
            )
            for key, numbers in series.items():
                known = together.get(key)
                if known is None:
                    together[key] = numbers
                else:
                    together[key] = [join(one, other) for one, other in zip(known, numbers, strict=True)]
    return merged


def lasting(state: MetricsState) -> MetricsState:
    """Return what stays of a process that has ended: what it counted, and nothing of how it was.

    A counter that falls is taken for one that began anew, and all that is left of it for new requests.
    """
    return {
        name: series for name, series in state.items() if FAMILIES[name].kind not in _ENDS_WITH_ITS_PROCESS
    }
