"""Who is asking? One file per kind of credential, one contract (`base.py`) for all of them."""

from gateway.identity.api_key import ApiKeyAuthenticator
from gateway.identity.base import ABSENT, Absent, Answer, Authenticator, AuthenticatorSpec, Rejected
from gateway.identity.bearer import read_bearer
from gateway.identity.build import KINDS, Needs, build_authenticator
from gateway.identity.gateway_jwt import GatewayJwt
from gateway.identity.key_text import IssuedKey, issue_api_key

__all__ = [
    "ABSENT",
    "KINDS",
    "Absent",
    "Answer",
    "ApiKeyAuthenticator",
    "Authenticator",
    "AuthenticatorSpec",
    "GatewayJwt",
    "IssuedKey",
    "Needs",
    "Rejected",
    "build_authenticator",
    "issue_api_key",
    "read_bearer",
]
