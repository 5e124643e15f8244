"""Several authenticators on one route: whose a token is, and what becomes of one that is nobody's."""

import pytest
from support.heads import HEAD

from gateway.identity import ABSENT, FOREIGN, Answer, Authenticator, Rejected
from gateway.model import Identified, Principal, PrincipalKind, Reason, Refusal, RequestHead, Route, Routed
from gateway.pipeline.authenticate import authenticate

ROUTED = Routed(
    HEAD,
    Route(id="r", place="policies.yaml:1", methods=frozenset({"GET"}), host=None, path="/", upstream="s"),
    {},
)


def caller(id: str, authn: str) -> Principal:
    return Principal(id=id, kind=PrincipalKind.EXTERNAL, name=id, authn=authn, authn_kind="jwt")


class Says(Authenticator):
    """Says what it is told to say."""

    kind = "jwt"

    def __init__(self, answer: Answer) -> None:
        self.name = "says"
        self.fields = frozenset()
        self.answer = answer

    async def identify(self, head: RequestHead) -> Answer:
        return self.answer

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        return principal

    def challenge(self, *, rejected: bool) -> str | None:
        return 'Bearer realm="gateway", error="invalid_token"' if rejected else 'Bearer realm="gateway"'


class Tokens(Says):
    takes_tokens = True


class Keys(Says):
    def challenge(self, *, rejected: bool) -> str | None:
        return f"Key rejected={rejected}"


ALICE, BOB = caller("alice", "one"), caller("bob", "two")
BAD = Rejected("bad")
INVALID, PLAIN = 'Bearer realm="gateway", error="invalid_token"', 'Bearer realm="gateway"'


@pytest.mark.parametrize(
    ("authenticators", "expected"),
    [
        ([Tokens(FOREIGN), Tokens(ALICE)], "alice"),
        ([Tokens(ALICE), Tokens(FOREIGN)], "alice"),
        ([Tokens(FOREIGN), Tokens(FOREIGN), Tokens(ALICE), Keys(ABSENT)], "alice"),
        ([Tokens(FOREIGN), Tokens(ALICE), Keys(ALICE)], "alice"),
        ([Tokens(ABSENT), Keys(BOB)], "bob"),
        ([Tokens(FOREIGN)], Reason.CREDENTIALS_INVALID),
        ([Tokens(FOREIGN), Tokens(FOREIGN)], Reason.CREDENTIALS_INVALID),
        ([Tokens(FOREIGN), Tokens(BAD)], Reason.CREDENTIALS_INVALID),
        ([Tokens(BAD), Tokens(ALICE)], Reason.CREDENTIALS_INVALID),
        # A token that is nobody's is a bad credential, and a good key beside it does not make it good.
        ([Tokens(FOREIGN), Keys(BOB)], Reason.CREDENTIALS_INVALID),
        ([Keys(BOB), Tokens(FOREIGN)], Reason.CREDENTIALS_INVALID),
        ([Tokens(FOREIGN), Tokens(ALICE), Keys(BOB)], Reason.CREDENTIALS_CONFLICTING),
        ([Tokens(FOREIGN), Tokens(ALICE), Keys(BAD)], Reason.CREDENTIALS_INVALID),
        ([Tokens(ABSENT), Keys(ABSENT)], Reason.CREDENTIALS_MISSING),
        ([Tokens(Rejected("twice", malformed=True)), Tokens(ALICE)], Reason.MALFORMED_REQUEST),
    ],
)
async def test_a_token_is_its_issuers(authenticators: list[Says], expected: Reason | str) -> None:
    found = await authenticate(ROUTED, authenticators)
    assert (found.principal.id if isinstance(found, Identified) else found.reason) == expected


async def test_the_challenge_says_once_that_the_token_is_bad() -> None:
    for authenticators in (
        [Tokens(FOREIGN), Tokens(FOREIGN), Keys(ABSENT)],
        [Tokens(FOREIGN), Tokens(BAD), Keys(ABSENT)],
    ):
        refused = await authenticate(ROUTED, authenticators)
        assert isinstance(refused, Refusal)
        assert refused.challenges == (INVALID, "Key rejected=False")
    missing = await authenticate(ROUTED, [Tokens(ABSENT), Tokens(ABSENT), Keys(ABSENT)])
    assert isinstance(missing, Refusal)
    assert missing.challenges == (PLAIN, "Key rejected=False")
    bad_key = await authenticate(ROUTED, [Tokens(ABSENT), Keys(BAD)])
    assert isinstance(bad_key, Refusal)
    assert bad_key.challenges == (PLAIN, "Key rejected=True")


async def test_a_challenge_of_its_own_stands_in_place_of_the_usual_one() -> None:
    refused = await authenticate(
        ROUTED, [Tokens(Rejected("unbound", challenge="DPoP error")), Tokens(FOREIGN)]
    )
    assert isinstance(refused, Refusal)
    assert refused.challenges == ("DPoP error", INVALID)
