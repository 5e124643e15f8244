"""What the metrics say of upstreams. Real sockets."""

from collections.abc import Mapping

from support.forwarding import Proxy
from support.upstream import answering, ok, unused_port, upstream_of, upstream_that

from gateway.assembly.watching import watch_upstreams
from gateway.config import CircuitRules, OpenAfter, OutlierRules
from gateway.observability import Metrics, families
from gateway.observability.metrics_families import Family
from gateway.observability.metrics_state import labels_of
from gateway.proxy import Forwarder


def shown(forwarder: Forwarder, family: Family) -> Mapping[tuple[str, ...], float]:
    metrics = Metrics(worker="0")
    watch_upstreams(metrics, forwarder)
    series = metrics.state()[family.name]
    return {tuple(labels_of(key, family)): numbers[0] for key, numbers in series.items()}


async def test_the_state_of_each_target_and_of_the_circuit_is_shown() -> None:
    async with upstream_that(answering(ok())) as raw:
        dead = raw.target_at(unused_port())
        proxy = Proxy(
            upstream_of(
                dead,
                raw.target,
                outlier=OutlierRules(consecutive_errors=1),
                circuit=CircuitRules(open_after=OpenAfter(errors=0.5, within=10, at_least=20)),
            )
        )
        for _ in range(4):
            await proxy.get()
        watched = proxy.forwarder
        states = shown(watched, families.UPSTREAM_TARGETS)
        assert len(states) == 6
        assert {key for key, value in states.items() if value} == {
            ("0", "orders", dead.name, "ejected"),
            ("0", "orders", raw.target.name, "healthy"),
        }
        assert shown(watched, families.UPSTREAM_EJECTIONS) == {
            ("orders", dead.name): 1,
            ("orders", raw.target.name): 0,
        }
        assert shown(watched, families.UPSTREAM_CIRCUITS) == {
            ("0", "orders", "closed"): 1,
            ("0", "orders", "open"): 0,
            ("0", "orders", "probing"): 0,
        }
        assert shown(watched, families.UPSTREAM_RETRIES) == {("orders",): 1}
        assert shown(watched, families.UPSTREAM_HEALTH_CHECKS) == {}
        await proxy.forwarder.close()


async def test_an_upstream_without_a_circuit_has_no_state_of_one() -> None:
    async with upstream_that(answering(ok())) as raw:
        proxy = Proxy(upstream_of(raw.target))
        await proxy.get()
        assert shown(proxy.forwarder, families.UPSTREAM_CIRCUITS) == {}
        assert shown(proxy.forwarder, families.UPSTREAM_CONNECTIONS) == {
            ("orders", "busy"): 0,
            ("orders", "idle"): 1,
        }
        await proxy.forwarder.close()
