"""Who is asking? One file per kind of credential, one contract (`base.py`) for all of them."""

from gateway.identity.api_key import ApiKeyAuthenticator
from gateway.identity.base import (
    ABSENT,
    FOREIGN,
    Absent,
    Answer,
    Authenticator,
    AuthenticatorSpec,
    ExternalIssuer,
    Foreign,
    Rejected,
    SubjectPart,
)
from gateway.identity.build import KINDS, Needs, build_authenticator, own_tokens
from gateway.identity.dpop import dpop_challenge
from gateway.identity.external_jwt import ExternalJwt
from gateway.identity.gateway_jwt import GatewayJwt
from gateway.identity.issuers import Issuers
from gateway.identity.key_text import IssuedKey, issue_api_key
from gateway.identity.key_uses import KeyUses
from gateway.identity.mtls import Mtls, names_in

__all__ = [
    "ABSENT",
    "FOREIGN",
    "KINDS",
    "Absent",
    "Answer",
    "ApiKeyAuthenticator",
    "Authenticator",
    "AuthenticatorSpec",
    "ExternalIssuer",
    "ExternalJwt",
    "Foreign",
    "GatewayJwt",
    "IssuedKey",
    "Issuers",
    "KeyUses",
    "Mtls",
    "Needs",
    "Rejected",
    "SubjectPart",
    "build_authenticator",
    "dpop_challenge",
    "issue_api_key",
    "names_in",
    "own_tokens",
]
