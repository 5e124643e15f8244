"""The device cookie, as browsers send and are sent it."""

from http.cookies import SimpleCookie

import pytest

from gateway.edge import DeviceCookie
from gateway.model import Fields

OPEN, SECURE = DeviceCookie(secure=False), DeviceCookie(secure=True)


@pytest.mark.parametrize(("cookie", "name"), [(OPEN, "gateway-device"), (SECURE, "__Host-gateway-device")])
def test_a_browser_keeps_it_for_ninety_days_and_shows_it_to_no_script(
    cookie: DeviceCookie, name: str
) -> None:
    field, value = cookie.line("v1.x")
    assert field == b"Set-Cookie"
    morsel = SimpleCookie(value.decode())[name]
    assert morsel.value == "v1.x"
    assert (morsel["max-age"], morsel["path"], morsel["samesite"]) == (str(90 * 86_400), "/", "Strict")
    assert morsel["httponly"] is True
    # What `__Host-` asks for: no domain, the path /, and TLS.
    assert morsel["domain"] == ""
    assert bool(morsel["secure"]) is (cookie is SECURE)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ([], None),
        ([b"a=1; b=2"], None),
        ([b"gateway-device=v1.x"], "v1.x"),
        ([b"a=1;gateway-device=v1.x; b=2"], "v1.x"),
        ([b"a=1", b"b=2;\tgateway-device=v1.x"], "v1.x"),
        ([b"gateway-device=first; gateway-device=second"], "first"),
        ([b"__Host-gateway-device=v1.x"], None),
        ([b"my-gateway-device=v1.x"], None),
        ([b"gateway-device"], ""),
        ([b"gateway-device=\xff"], "\xff"),
        ([b";;;=; ="], None),
    ],
)
def test_its_value_is_found_among_others(sent: list[bytes], read: str | None) -> None:
    assert OPEN.read(Fields([(b"Cookie", value) for value in sent])) == read


def test_over_tls_only_the_cookie_that_nobody_else_can_set_counts() -> None:
    fields = Fields([(b"Cookie", b"gateway-device=theirs; __Host-gateway-device=ours")])
    assert SECURE.read(fields) == "ours"
