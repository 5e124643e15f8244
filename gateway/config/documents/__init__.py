"""The two files as they are written: every key, its kind, and what it means. The JSON Schema and the
reference are generated from here."""

from gateway.config.documents.access import (
    ApiKeyDocument,
    AuthenticatorDocument,
    GatewayJwtDocument,
    GrantDocument,
    JwtDocument,
    MtlsDocument,
    RoleDocument,
    ScheduleDocument,
)
from gateway.config.documents.accounts import AccountsDocument
from gateway.config.documents.base import Document, NotYet
from gateway.config.documents.limits import LimitDocument
from gateway.config.documents.policies import PoliciesDocument
from gateway.config.documents.routes import DenyDocument, MatchDocument, RouteDocument
from gateway.config.documents.upstreams import (
    CommonDocument,
    ForwardDocument,
    UpstreamDocument,
    UpstreamsDocument,
)

__all__ = [
    "AccountsDocument",
    "ApiKeyDocument",
    "AuthenticatorDocument",
    "CommonDocument",
    "DenyDocument",
    "Document",
    "ForwardDocument",
    "GatewayJwtDocument",
    "GrantDocument",
    "JwtDocument",
    "LimitDocument",
    "MatchDocument",
    "MtlsDocument",
    "NotYet",
    "PoliciesDocument",
    "RoleDocument",
    "RouteDocument",
    "ScheduleDocument",
    "UpstreamDocument",
    "UpstreamsDocument",
]
