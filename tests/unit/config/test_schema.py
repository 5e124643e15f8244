"""The JSON Schemas that editors read are those of the documents, and speak of nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import json_schema
from gateway.config.documents import PoliciesDocument, UpstreamsDocument
from gateway.config.schema import Which
from gateway.policy.operators import OPERATORS

ROOT = Path(__file__).parents[3]


def _walk(schema: object) -> Iterator[dict[str, object]]:
    if isinstance(schema, dict):
        yield schema
        for each in schema.values():
            yield from _walk(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _walk(each)


@pytest.mark.parametrize("which", ["policies", "upstreams"])
def test_the_schema_in_the_repository_is_current(which: Which) -> None:
    """Write it anew with `gateway schema NAME > schemas/NAME-v1.json`."""
    assert (ROOT / "schemas" / f"{which}-v1.json").read_text() == json_schema(which)


@pytest.mark.parametrize("which", ["policies", "upstreams"])
def test_every_key_is_described_and_every_reference_leads_somewhere(which: Which) -> None:
    schema = json.loads(json_schema(which))
    definitions = {f"#/$defs/{name}" for name in schema["$defs"]}
    for part in _walk(schema):
        assert part.get("type") != "null"
        reference = part.get("$ref")
        if isinstance(reference, str):
            assert reference in definitions
    for name, definition in schema["$defs"].items():
        for key, value in definition.get("properties", {}).items():
            if name != "Condition":
                assert "description" in value or "$ref" in value, f"{name}.{key}"


@pytest.mark.parametrize(
    ("which", "document"), [("policies", PoliciesDocument), ("upstreams", UpstreamsDocument)]
)
def test_the_keys_are_those_that_the_file_may_have(
    which: Which, document: type[PoliciesDocument] | type[UpstreamsDocument]
) -> None:
    schema = json.loads(json_schema(which))
    assert set(schema["properties"]) == set(document.model_fields)
    assert "version" in schema["required"]
    assert schema["additionalProperties"] is False


def test_conditions_know_every_operator() -> None:
    condition = json.loads(json_schema("policies"))["$defs"]["Condition"]
    (operators,) = condition["patternProperties"].values()
    assert set(operators["properties"]) == set(OPERATORS)
