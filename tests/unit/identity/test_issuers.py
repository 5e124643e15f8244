import asyncio
import contextlib

from support.issuer import ISSUER, Issuer
from unit.crypto.rows import StandingClock

from gateway.identity import ExternalIssuer, Issuers


def rules(url: str) -> ExternalIssuer:
    return ExternalIssuer(
        issuer=url,
        audience=frozenset({"a"}),
        algorithms=("ES256",),
        types=frozenset({"at+jwt"}),
        jwks=f"{url}/keys",
    )


async def test_all_issuers_are_followed_and_those_that_fail_are_named() -> None:
    issuer = Issuer()
    issuers = Issuers(issuer, StandingClock())
    good, bad = issuers.follow("good", rules(ISSUER)), issuers.follow("bad", rules("https://bad.example"))
    assert issuers.fault() is None
    assert dict(issuers.keys) == {"good": good, "bad": bad}
    running = asyncio.create_task(issuers.run())
    try:
        assert await good.find("k1", "ES256") is not None
        async with asyncio.timeout(5):
            while bad.fault is None:
                await asyncio.sleep(0)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert issuers.fault() == "bad: https://bad.example/keys answers 404"
    assert repr(issuers) == "Issuers(['bad', 'good'])"
