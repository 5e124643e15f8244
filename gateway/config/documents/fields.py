"""The kinds of values in the documents: how each is read, and what its JSON Schema says."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from gateway.config.addresses import (
    Network,
    TargetUrl,
    read_file_reference,
    read_host_pattern,
    read_network,
    read_target_url,
)
from gateway.config.json_pointers import read_pointer
from gateway.config.names import (
    METHODS,
    read_header_name,
    read_header_pattern,
    read_header_value,
    read_limit_id,
    read_method,
    read_name,
    read_per,
    read_recorded_field,
    read_scope,
    read_scope_pattern,
)
from gateway.config.problem import text_of, wrong
from gateway.config.quantities import (
    Rate,
    Size,
    read_date,
    read_duration,
    read_duration_or_zero,
    read_held_size,
    read_percent,
    read_rate,
    read_size,
)
from gateway.config.token_words import (
    read_issuer,
    read_keys_address,
    read_signature_algorithm,
    read_token_type,
)
from gateway.config.web_addresses import (
    read_origin,
    read_prefix,
    read_request_target,
    read_server_name,
)
from gateway.crypto import ALGORITHMS, HMAC_ALGORITHM


def _text(pattern: str | None = None, *examples: str) -> WithJsonSchema:
    schema: dict[str, object] = {"type": "string"}
    if pattern is not None:
        schema["pattern"] = pattern
    if examples:
        schema["examples"] = list(examples)
    return WithJsonSchema(schema)


def _word(word: str, advice: Callable[[str], str]) -> Callable[[object], str]:
    """Return what reads one fixed word where a list could stand as well."""

    def read(value: object) -> str:
        if value == word:
            return word
        raise wrong(f'is neither "{word}" nor a list', advice(str(value)))

    return read


def _public_or_list(value: object) -> str:
    return "word" if isinstance(value, str) else "list"


def _word_list_or_map(value: object) -> str:
    if isinstance(value, Mapping):
        return "map"
    return _public_or_list(value)


def read_text(value: object) -> str:
    """Return text that says something."""
    text = text_of(value, "text in quotes")
    if not text.strip():
        raise wrong("says nothing", "write a few words")
    return text


def read_any_text(value: object) -> str:
    """Return text."""
    return text_of(value, "text in quotes")


Text = Annotated[str, PlainValidator(read_text), WithJsonSchema({"type": "string", "minLength": 1})]
AnyText = Annotated[str, PlainValidator(read_any_text), _text()]
Name = Annotated[str, PlainValidator(read_name), _text(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
LimitId = Annotated[str, PlainValidator(read_limit_id), _text(r"^[A-Za-z0-9_.:-]+$", "route:orders:0")]
ScopeName = Annotated[str, PlainValidator(read_scope), _text(r"^[A-Za-z0-9._:-]+$", "orders:read")]
ScopePattern = Annotated[
    str, PlainValidator(read_scope_pattern), _text(r"^[A-Za-z0-9._:*-]+$", "orders:read", "orders:*", "*")
]
Method = Annotated[
    str, PlainValidator(read_method), WithJsonSchema({"type": "string", "enum": list(METHODS)})
]
HeaderName = Annotated[str, PlainValidator(read_header_name), _text(None, "x-api-key")]
HeaderPattern = Annotated[str, PlainValidator(read_header_pattern), _text(None, "server", "x-internal-*")]
HeaderValue = Annotated[str, PlainValidator(read_header_value), _text()]
RecordedField = Annotated[
    str,
    PlainValidator(read_recorded_field),
    _text(r"^((query|header|claims|client\.cert)\..+|client\.ip)$", "query.token"),
]
Per = Annotated[
    tuple[str, ...],
    PlainValidator(read_per),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string", "examples": ["principal", "client_ip", "claims.tenant"]},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
            ]
        }
    ),
]

_DURATION = r"^[0-9]+(ms|s|min|h|d)$"
Duration = Annotated[float, PlainValidator(read_duration), _text(_DURATION, "10s", "15min", "7d")]
DurationOrZero = Annotated[float, PlainValidator(read_duration_or_zero), _text(_DURATION, "10s", "0s")]
ByteSize = Annotated[
    Size,
    PlainValidator(read_size),
    _text(r"^([0-9]+(B|KB|MB|GB|KiB|MiB|GiB)|unlimited)$", "10MiB", "unlimited"),
]
HeldSize = Annotated[
    int, PlainValidator(read_held_size), _text(r"^[0-9]+(B|KB|MB|KiB|MiB)$", "512KiB", "4MiB")
]
Percent = Annotated[float, PlainValidator(read_percent), _text(r"^(100|[0-9]{1,2})%$", "20%")]
RateText = Annotated[
    Rate, PlainValidator(read_rate), _text(r"^[0-9]+/(month|[0-9]*(s|min|h|d))$", "120/min", "5/15min")
]
Day = Annotated[date, PlainValidator(read_date), _text(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2026-12-31")]

NetworkRange = Annotated[
    Network, PlainValidator(read_network), _text(None, "203.0.113.0/24", "2001:db8::/32")
]
HostPattern = Annotated[
    str, PlainValidator(read_host_pattern), _text(None, "api.example.com", "*.example.com")
]
Origin = Annotated[str, PlainValidator(read_origin), _text(r"^https?://", "https://app.example.com")]
Issuer = Annotated[str, PlainValidator(read_issuer), _text(None, "https://login.example.com")]
Keys = Annotated[
    str,
    PlainValidator(read_keys_address),
    _text(r"^(auto|https?://.+)$", "auto", "https://login.example.com/keys.json"),
]
TokenType = Annotated[
    str, PlainValidator(read_token_type), _text(r"^[A-Za-z0-9][A-Za-z0-9.+/_-]*$", "at+jwt", "JWT")
]
SignatureAlgorithm = Annotated[
    str,
    PlainValidator(read_signature_algorithm),
    WithJsonSchema({"type": "string", "enum": [*ALGORITHMS, HMAC_ALGORITHM]}),
]
JsonPointer = Annotated[
    tuple[str, ...],
    PlainValidator(read_pointer),
    _text(r"^(/([^~/]|~[01])*)+$", "/card/number", "/items/*/price"),
]
PathPrefix = Annotated[str, PlainValidator(read_prefix), _text("^/", "/reports")]
RequestTarget = Annotated[str, PlainValidator(read_request_target), _text("^/", "/healthz")]
ServerName = Annotated[str, PlainValidator(read_server_name), _text(None, "orders.internal")]
FileReference = Annotated[
    str, PlainValidator(read_file_reference), _text("^file:/", "file:/etc/gateway/ca.pem")
]
Target = Annotated[
    TargetUrl,
    PlainValidator(read_target_url),
    _text(None, "http://orders.internal:8080", "unix:/run/orders.sock"),
]
PathTemplate = Annotated[str, PlainValidator(read_any_text), _text("^/", "/orders/{order_id}", "/reports/**")]

ConditionTree = Annotated[dict[str, object], Field(min_length=1), WithJsonSchema({"$comment": "Condition"})]
"""A condition as it is written; the policy room reads it."""

_Public = Annotated[
    Literal["public"],
    PlainValidator(_word("public", "write a list: [{}]".format)),
    WithJsonSchema({"const": "public"}),
]
_Anybody = Annotated[
    Literal["authenticated"],
    PlainValidator(_word("authenticated", "write a list: [{}]".format)),
    WithJsonSchema({"const": "authenticated"}),
]
_Scopes = Annotated[list[ScopeName], Field(min_length=1)]
_Names = Annotated[list[Name], Field(min_length=1)]

Authn = Annotated[
    Annotated[_Public, Tag("word")] | Annotated[_Names, Tag("list")], Discriminator(_public_or_list)
]
_Need = Annotated[
    Annotated[_Anybody, Tag("word")] | Annotated[_Scopes, Tag("list")], Discriminator(_public_or_list)
]
Require = Annotated[
    Annotated[_Anybody, Tag("word")]
    | Annotated[_Scopes, Tag("list")]
    | Annotated[Annotated[dict[Method, _Need], Field(min_length=1)], Tag("map")],
    Discriminator(_word_list_or_map),
]
