"""The clients' listener: HTTP in, a decision, HTTP out."""

from gateway.edge.auth_login import DeviceCookie, login_endpoints
from gateway.edge.auth_mfa import mfa_endpoints
from gateway.edge.auth_registration import registration_endpoints
from gateway.edge.auth_sessions import session_endpoints
from gateway.edge.client_address import ClientAddresses
from gateway.edge.crypto import CRYPTO_SCOPE, Crypto
from gateway.edge.door import ClientsDoor
from gateway.edge.forward_auth import ForwardAuth, check_endpoints
from gateway.edge.head import HeadReader
from gateway.edge.listener import Listener, ParserMissing
from gateway.edge.metadata import metadata_endpoints, resource_metadata_url
from gateway.edge.oauth import OAuth
from gateway.edge.own import Endpoint, OwnEndpoints
from gateway.edge.server_tls import ServerTls, TlsUnusable
from gateway.edge.tls import OUTCOMES as HANDSHAKE_OUTCOMES
from gateway.edge.vigil import Vigil

__all__ = [
    "CRYPTO_SCOPE",
    "HANDSHAKE_OUTCOMES",
    "ClientAddresses",
    "ClientsDoor",
    "Crypto",
    "DeviceCookie",
    "Endpoint",
    "ForwardAuth",
    "HeadReader",
    "Listener",
    "OAuth",
    "OwnEndpoints",
    "ParserMissing",
    "ServerTls",
    "TlsUnusable",
    "Vigil",
    "check_endpoints",
    "login_endpoints",
    "metadata_endpoints",
    "mfa_endpoints",
    "registration_endpoints",
    "resource_metadata_url",
    "session_endpoints",
]
