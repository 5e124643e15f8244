"""The JSON Schemas of the two files, for editors. They say what a file looks like; only `gateway check` says
whether it holds together."""

import json
from collections.abc import Mapping
from typing import Literal

from gateway.config.documents import Document, PoliciesDocument, UpstreamsDocument

_OPERATORS = ("is", "in", "has", "same_as", "prefix", "present", "in_network", "not_in_network", "during")

Which = Literal["policies", "upstreams"]

_DOCUMENTS: Mapping[Which, type[Document]] = {"policies": PoliciesDocument, "upstreams": UpstreamsDocument}
_ATTRIBUTES = (
    r"^(client\.ip|authn\.kind|principal\.(id|roles)|time|host|method"
    r"|(claims|path|query|header|client\.cert)\..+)$"
)


def json_schema(which: Which) -> str:
    """Return the schema of one of the files, as text that ends with a line break."""
    schema = _tidy(_DOCUMENTS[which].model_json_schema())
    if not isinstance(schema, dict):  # pragma: no cover - the schema of a model is an object
        raise TypeError(which)
    if which == "policies":
        schema["$defs"]["Condition"] = _condition()
    # Draft 7 is what the YAML language server reads.
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"{which}.yaml of the gateway"}
    return (
        json.dumps({**head, **{key: value for key, value in schema.items() if key != "title"}}, indent=2)
        + "\n"
    )


def _condition() -> dict[str, object]:
    nested = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Condition"}}
    return {
        "description": "All entries must hold.",
        "type": "object",
        "minProperties": 1,
        "properties": {"all_of": nested, "any_of": nested, "none_of": nested},
        "patternProperties": {
            _ATTRIBUTES: {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {name: {} for name in _OPERATORS},
            }
        },
        "additionalProperties": False,
    }


def _tidy(schema: object) -> object:
    """Return a schema without what is true only of our own types: made-up titles, and null for absence."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("$comment") == "Condition":
        return {
            "$ref": "#/$defs/Condition",
            **({"description": d} if (d := schema.get("description")) else {}),
        }
    alternatives = schema.get("anyOf")
    if isinstance(alternatives, list) and {"type": "null"} in alternatives:
        rest = [each for each in alternatives if each != {"type": "null"}]
        others = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
        return _tidy({**others, **(rest[0] if len(rest) == 1 else {"anyOf": rest}), **_kept(others)})
    return {
        key: _tidy(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and not isinstance(value, str | bool | int))
    }


def _kept(schema: Mapping[str, object]) -> dict[str, object]:
    return {"description": schema["description"]} if "description" in schema else {}
