"""The clients' listener: HTTP in, a decision, HTTP out."""

from gateway.edge.accounts import account_endpoints
from gateway.edge.door import ClientsDoor
from gateway.edge.head import HeadReader
from gateway.edge.listener import Listener, ParserMissing
from gateway.edge.metadata import metadata_endpoints
from gateway.edge.own import OwnEndpoints
from gateway.edge.vigil import Vigil

__all__ = [
    "ClientsDoor",
    "HeadReader",
    "Listener",
    "OwnEndpoints",
    "ParserMissing",
    "Vigil",
    "account_endpoints",
    "metadata_endpoints",
]
