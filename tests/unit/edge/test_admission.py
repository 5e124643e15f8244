"""Who is one too many."""

from gateway.edge.admission import Admission
from gateway.edge.flaws import TOO_MANY, TOO_MANY_OF_ADDRESS
from gateway.settings import TrustedProxies, load_settings


def admission(**values: object) -> Admission:
    return Admission(load_settings({}).model_copy(update=values))


def test_there_may_be_as_many_as_the_limit_says() -> None:
    clients = admission(max_connections=2)
    assert [clients.enter(peer) for peer in ("192.0.2.1", "", "192.0.2.2")] == [None, None, TOO_MANY]
    clients.leave("")
    assert clients.enter("192.0.2.2") is None


def test_workers_share_a_limit_and_none_has_nothing() -> None:
    clients = admission(max_connections=10, max_connections_per_address=2, workers=4)
    assert [clients.enter(f"192.0.2.{n}") for n in range(4)] == [None, None, None, TOO_MANY]
    clients = admission(max_connections=100, max_connections_per_address=5, workers=4)
    assert [clients.enter("192.0.2.1") for _ in range(3)] == [None, None, TOO_MANY_OF_ADDRESS]


def test_an_ipv6_network_is_one_address() -> None:
    clients = admission(max_connections_per_address=1)
    assert clients.enter("2001:db8::1") is None
    assert clients.enter("2001:db8::ffff:1") is TOO_MANY_OF_ADDRESS
    assert clients.enter("2001:db8:0:1::1") is None
    assert clients.enter("fe80::1%eth0") is None
    assert clients.enter("192.0.2.1") is None
    clients.leave("2001:db8::1")
    assert clients.enter("2001:db8::2") is None


def test_trusted_proxies_and_unix_sockets_have_no_limit_of_their_own() -> None:
    trusted = TrustedProxies.model_validate(TrustedProxies.parse("192.0.2.0/24"))
    clients = admission(max_connections=100, max_connections_per_address=1, trusted_proxies=trusted)
    assert [clients.enter(peer) for peer in ("192.0.2.1", "", "198.51.100.1") * 2] == [
        None,
        None,
        None,
        None,
        None,
        TOO_MANY_OF_ADDRESS,
    ]
    for peer in ("192.0.2.1", "192.0.2.1", "", "", "198.51.100.1"):
        clients.leave(peer)
    assert clients.admitted == 0
