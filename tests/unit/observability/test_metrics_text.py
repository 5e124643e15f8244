"""The text is what its readers expect, whatever the labels hold."""

import re
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain

from gateway.observability import MetricsState, exposition, families, state_of
from gateway.observability.metrics_families import FAMILIES, Kind
from gateway.observability.metrics_state import key_of, labels_of

OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.5"
Reader = Callable[[str], Iterable[Metric]]
READERS: list[tuple[str, Reader]] = [("", read_plain), (OPENMETRICS, read_openmetrics)]

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=8)


@st.composite
def states(draw: st.DrawFn) -> MetricsState:
    state: MetricsState = {}
    for family in draw(st.lists(st.sampled_from(list(FAMILIES.values())), unique=True, max_size=6)):
        length = len(family.bounds) + 2 if family.kind is Kind.HISTOGRAM else 1
        numbers = st.lists(st.integers(0, 2**50), min_size=length, max_size=length)
        labels = st.tuples(*[WORDS] * len(family.labels))
        series = draw(st.dictionaries(labels, numbers, max_size=3))
        state[family.name] = {key_of(family, each, "1"): list(value) for each, value in series.items()}
    return state


def samples(text: bytes, read: Reader) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in read(text.decode())
        for sample in metric.samples
    }


@pytest.mark.parametrize(("accept", "read"), READERS)
@given(state=states())
def test_every_number_is_read_back_under_its_labels(accept: str, read: Reader, state: MetricsState) -> None:
    text, _ = exposition(state, accept)
    found = samples(text, read)
    expected = 0
    for name, series in state.items():
        family = FAMILIES[name]
        for key, numbers in series.items():
            labels = frozenset(zip(family.all_labels, labels_of(key, family), strict=True))
            if family.kind is Kind.HISTOGRAM:
                expected += len(numbers) + 1
                assert found[f"{name}_sum", labels] == numbers[0] / 1_000_000
                assert found[f"{name}_count", labels] == sum(numbers[1:])
                assert found[f"{name}_bucket", labels | {("le", "+Inf")}] == sum(numbers[1:])
                buckets = {
                    float(dict(each)["le"]): value
                    for (sample, each), value in found.items()
                    if sample == f"{name}_bucket" and labels <= each
                }
                assert buckets[family.bounds[0]] == numbers[1]
                assert list(buckets) == [*family.bounds, float("inf")]
            else:
                expected += 1
                assert found[name, labels] == (1 if family.kind is Kind.INFO else numbers[0])
    assert len(found) == expected


def test_the_format_is_the_one_that_was_asked_for() -> None:
    state = state_of({families.WORKERS: 2})
    for accept in ("", "*/*", "text/plain;version=0.0.4", "text/html", "application/openmetrics"):
        text, media_type = exposition(state, accept)
        assert media_type == "text/plain; version=0.0.4; charset=utf-8"
        assert text.decode().endswith("gateway_workers 2.0\n")
    for accept in (OPENMETRICS, "Application/OpenMetrics-Text", "text/html, application/openmetrics-text"):
        text, media_type = exposition(state, accept)
        assert media_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
        assert text.endswith(b"# EOF\n")


@pytest.mark.parametrize("version", ["beta", "9.9.9evil", "1.0.0\x00", "../..", "1" * 5000])
def test_what_a_client_accepts_is_not_repeated(version: str) -> None:
    text, media_type = exposition({}, f"application/openmetrics-text; version={version}; escaping={version}")
    assert version not in media_type
    assert text == b"# EOF\n"


def test_nothing_known_is_an_empty_page() -> None:
    assert exposition({}) == (b"", "text/plain; version=0.0.4; charset=utf-8")


def test_names_labels_and_texts_keep_the_rules_of_the_format() -> None:
    for name, family in FAMILIES.items():
        assert name == family.name
        assert re.fullmatch(r"(gateway|process)_[a-z_]+", name)
        assert name.endswith("_total") == (family.kind is Kind.COUNTER)
        assert name.endswith("_info") == (family.kind is Kind.INFO)
        assert bool(family.bounds) == (family.kind is Kind.HISTOGRAM)
        assert list(family.bounds) == sorted(set(family.bounds))
        assert all(re.fullmatch(r"[a-z]+", label) for label in family.all_labels)
        assert len(set(family.all_labels) | {"le", "quantile"}) == len(family.all_labels) + 2
        assert family.help.endswith(".")
        assert "\n" not in family.help


def test_no_label_could_name_somebody() -> None:
    labels = {label for family in FAMILIES.values() for label in family.all_labels}
    assert labels == {
        "worker",
        "authenticator",
        "role",
        "what",
        "route",
        "upstream",
        "target",
        "decision",
        "reason",
        "status",
        "outcome",
        "fault",
        "state",
        "source",
        "result",
        "limit",
        "action",
        "outlet",
        "version",
        "python",
        "revision",
    }
