"""Everything that the gateway does about its own users, for whoever answers requests."""

from dataclasses import dataclass

from gateway.accounts.clients import Clients
from gateway.accounts.confirming import Confirming
from gateway.accounts.login import Login
from gateway.accounts.oauth_granting import Granting
from gateway.accounts.oauth_introspecting import Introspecting
from gateway.accounts.oauth_revoking import Revoking
from gateway.accounts.own_factor import OwnFactor
from gateway.accounts.own_sessions import OwnSessions
from gateway.accounts.recovering import Recovering
from gateway.accounts.refreshing import Refreshing
from gateway.accounts.registering import Registering


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The accounts of the gateway itself, each part by what it is for.

    Rules and scopes come with every call, from the snapshot that the request uses.
    """

    registering: Registering
    confirming: Confirming
    recovering: Recovering
    login: Login
    refreshing: Refreshing
    sessions: OwnSessions
    factor: OwnFactor
    clients: Clients
    granting: Granting
    revoking: Revoking
    introspecting: Introspecting
