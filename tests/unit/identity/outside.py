"""An authenticator for tokens of another issuer, with everything around it."""

from support.issuer import AUDIENCE, ISSUER, SECRET, Issuer, IssuerKey
from unit.crypto.rows import StandingClock

from gateway.crypto import Proofs, VerifyingKey, secret_key
from gateway.identity import ExternalIssuer, ExternalJwt
from gateway.identity.issuer_keys import SecretKey
from gateway.identity.key_set import read_key_set
from gateway.ports import StoreUnavailable
from gateway.stores.memory import MemoryCounters

RULES = ExternalIssuer(
    issuer=ISSUER,
    audience=frozenset({AUDIENCE, "billing-api"}),
    algorithms=("RS256", "ES256"),
    types=frozenset({"at+jwt"}),
)
SHARED = ExternalIssuer(
    issuer=ISSUER,
    audience=frozenset({AUDIENCE}),
    algorithms=("HS256",),
    types=frozenset({"at+jwt", "jwt"}),
    secret=SECRET,
)


class PublishedKeys:
    """The keys that an issuer publishes at this moment. Implements `Keys`."""

    def __init__(self, issuer: Issuer, algorithms: tuple[str, ...]) -> None:
        self.issuer = issuer
        self.algorithms = algorithms
        self.changes = 0
        self.asked = 0
        self.away = False

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("the keys are not known")
        return read_key_set(self.issuer.published("/keys") or b"", algorithms=self.algorithms).find(
            kid, algorithm
        )

    def trusts(self, thumbprint: str) -> bool:
        return read_key_set(self.issuer.published("/keys") or b"", algorithms=self.algorithms).holds(
            thumbprint
        )


class Outside:
    """An issuer, and the gateway's authenticator for its tokens."""

    def __init__(self, *keys: IssuerKey, rules: ExternalIssuer = RULES) -> None:
        self.clock = StandingClock()
        self.issuer = Issuer(*keys, url=ISSUER, now=self.clock.now)
        self.keys = PublishedKeys(self.issuer, rules.algorithms)
        self.authenticator = ExternalJwt(
            "corporate",
            rules=rules,
            keys=self.keys if rules.secret is None else SecretKey(secret_key(rules.secret)),
            proofs=Proofs(
                public_url="https://gateway.example", counters=MemoryCounters(self.clock), clock=self.clock
            ),
            clock=self.clock,
        )
