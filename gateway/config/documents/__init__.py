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
from gateway.config.documents.accounts import AccountsDocument, TokensDocument
from gateway.config.documents.base import Document, NotYet
from gateway.config.documents.calm import CircuitDocument, HealthDocument, OutlierDocument
from gateway.config.documents.limits import LimitDocument
from gateway.config.documents.pages import CorsDocument, WebsocketDocument
from gateway.config.documents.policies import AuditDocument, PoliciesDocument
from gateway.config.documents.routes import (
    DecryptDocument,
    DenyDocument,
    EncryptDocument,
    MatchDocument,
    RespondDocument,
    RouteDocument,
)
from gateway.config.documents.targets import HashDocument, TlsDocument
from gateway.config.documents.upstreams import (
    CommonDocument,
    ForwardDocument,
    RewriteDocument,
    UpstreamDocument,
    UpstreamsDocument,
)

__all__ = [
    "AccountsDocument",
    "ApiKeyDocument",
    "AuditDocument",
    "AuthenticatorDocument",
    "CircuitDocument",
    "CommonDocument",
    "CorsDocument",
    "DecryptDocument",
    "DenyDocument",
    "Document",
    "EncryptDocument",
    "ForwardDocument",
    "GatewayJwtDocument",
    "GrantDocument",
    "HashDocument",
    "HealthDocument",
    "JwtDocument",
    "LimitDocument",
    "MatchDocument",
    "MtlsDocument",
    "NotYet",
    "OutlierDocument",
    "PoliciesDocument",
    "RespondDocument",
    "RewriteDocument",
    "RoleDocument",
    "RouteDocument",
    "ScheduleDocument",
    "TlsDocument",
    "TokensDocument",
    "UpstreamDocument",
    "UpstreamsDocument",
    "WebsocketDocument",
]
