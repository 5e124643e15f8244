"""The gateway's own users, put together, and the endpoints where they are served."""

from collections.abc import Callable
from urllib.parse import urlsplit

from gateway.accounts import (
    AccessTokens,
    Accounts,
    Clients,
    Confirming,
    Devices,
    Ending,
    Granting,
    Guard,
    Introspecting,
    Issuing,
    Login,
    OwnFactor,
    OwnPassword,
    OwnSessions,
    Recorder,
    Recovering,
    Refreshing,
    Registering,
    Revoking,
    SecondFactor,
    Sessions,
)
from gateway.assembly.mail import Mail
from gateway.assembly.stores import Stores
from gateway.crypto import Keyring, Proofs
from gateway.edge import (
    DeviceCookie,
    Endpoint,
    OAuth,
    login_endpoints,
    mfa_endpoints,
    registration_endpoints,
    session_endpoints,
)
from gateway.identity import GatewayJwt
from gateway.ports import Change, CounterStore
from gateway.settings import Settings
from gateway.stores.memory import FollowedBlocks


def open_accounts(
    stores: Stores,
    keyring: Keyring,
    counters: CounterStore,
    mail: Mail,
    blocked: FollowedBlocks,
    *,
    applied: Callable[[Change], None],
) -> Accounts:
    """Return everything that is done about the gateway's own users; `applied` is told of every revocation."""
    clock, users = stores.clock, stores.users
    recorder = Recorder(events=stores.events, clock=clock, applied=applied)
    sessions = Sessions(stores.sessions, stores.sealer, clock)
    issuing = Issuing(AccessTokens(keyring, stores.settings.issuer))
    second_factor = SecondFactor(stores.factors, counters=counters, sealer=stores.sealer, clock=clock)
    guard = Guard(
        counters=counters,
        blocks=stores.blocks,
        blocked=blocked,
        spares=blocked.spares,
        taken=blocked.take,
        recorder=recorder,
        key=stores.roots.derive("login-names"),
    )
    own_password = OwnPassword(
        users=users, passwords=stores.passwords, second_factor=second_factor, guard=guard
    )
    ending = Ending(sessions=stores.sessions, recorder=recorder)
    refreshing = Refreshing(users=users, sessions=sessions, issuing=issuing, recorder=recorder)
    return Accounts(
        registering=Registering(
            registrar=stores.registrar, invites=stores.invites, mailing=stores.mailing, recorder=recorder
        ),
        confirming=Confirming(
            users=users, links=mail.links, mailing=stores.mailing, ending=ending, recorder=recorder
        ),
        recovering=Recovering(
            users=users,
            passwords=stores.passwords,
            own_password=own_password,
            links=mail.links,
            mailing=stores.mailing,
            ending=ending,
            recorder=recorder,
        ),
        clients=Clients(stores.clients, guard=guard, recorder=recorder, clock=clock),
        login=Login(
            users=users,
            sessions=sessions,
            passwords=stores.passwords,
            second_factor=second_factor,
            guard=guard,
            devices=Devices(stores.roots.keys_for("devices"), clock),
            issuing=issuing,
            recorder=recorder,
        ),
        refreshing=refreshing,
        sessions=OwnSessions(users=users, sessions=sessions, recorder=recorder),
        factor=OwnFactor(
            factors=stores.factors,
            second_factor=second_factor,
            users=users,
            sessions=stores.sessions,
            own_password=own_password,
            guard=guard,
            mailing=stores.mailing,
            sealer=stores.sealer,
            recorder=recorder,
            clock=clock,
            issuer=urlsplit(stores.settings.issuer).hostname or "gateway",
        ),
        granting=Granting(
            refreshing=refreshing, issuing=issuing, recorder=recorder, issuer=stores.settings.issuer
        ),
        revoking=Revoking(sessions=sessions, tokens=stores.revoked_tokens, recorder=recorder, clock=clock),
        introspecting=Introspecting(
            users=users, sessions=sessions, clock=clock, issuer=stores.settings.issuer
        ),
    )


def own_endpoints(
    accounts: Accounts, tokens: GatewayJwt, proofs: Proofs, settings: Settings
) -> list[Endpoint]:
    """Return the endpoints where users and OAuth clients are served."""
    oauth = OAuth(
        clients=accounts.clients,
        granting=accounts.granting,
        revoking=accounts.revoking,
        introspecting=accounts.introspecting,
        tokens=tokens,
        proofs=proofs,
    )
    cookie = DeviceCookie(secure=settings.issuer.startswith("https:"))
    return [
        *registration_endpoints(accounts.registering, accounts.confirming, accounts.recovering),
        *login_endpoints(accounts.login, accounts.clients, proofs, cookie),
        *session_endpoints(accounts.refreshing, accounts.sessions, accounts.clients, proofs),
        *mfa_endpoints(accounts.factor),
        *oauth.endpoints(),
    ]
