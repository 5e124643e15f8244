"""From what both files say to one snapshot. Called only when nothing is wrong with them."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from gateway.audit import Recording
from gateway.config.compile import Compiled
from gateway.config.compile_audit import compile_recorded, credential_fields
from gateway.config.compile_pages import compile_cors
from gateway.config.compile_routes import RouteDraft
from gateway.config.quantities import LARGEST_HELD
from gateway.config.snapshot import Plan, Recorded, Respond, Snapshot, Upstream
from gateway.limits import LimitPlan
from gateway.policy import Condition, DenyRule, Grants
from gateway.routing import RouteTrie


def weave(revision: str, compiled: Compiled, upstreams: Mapping[str, Upstream]) -> Snapshot:
    """Return the snapshot."""
    access = compiled.access
    everywhere = tuple(
        rule for rule in compiled.rules if rule.routes is None and not rule.condition.needs_identity
    )
    routes: RouteTrie[Plan] = RouteTrie()
    plans: dict[str, Plan] = {}
    for draft in compiled.drafts:
        plan = _plan(draft, compiled, draft.respond or upstreams[draft.route.upstream], everywhere)
        plans[draft.route.id] = plan
        routes.add(draft.route.host, draft.route.methods, draft.route.path, plan)
    authn = compiled.document.defaults.authn
    return Snapshot(
        revision=revision,
        routes=routes,
        plans=plans,
        deny_everywhere=everywhere,
        own_limits=LimitPlan(defaults=compiled.default_limits),
        crypto_limits=LimitPlan(defaults=compiled.crypto_limits),
        own_cors=compile_cors(compiled.document.defaults.cors),
        roles=access.roles,
        grants=Grants(compiled.grants),
        authenticators=access.authenticators,
        default_authn=tuple(authn) if isinstance(authn, list) else (),
        accounts=access.accounts,
        upstreams=upstreams,
        recording=Recording(revision=revision, redaction=compiled.redaction),
        recorded=_recorded(compiled, [rule.condition for rule in everywhere]),
    )


def _plan(
    draft: RouteDraft,
    compiled: Compiled,
    destination: Upstream | Respond,
    everywhere: tuple[DenyRule, ...],
) -> Plan:
    early = tuple(rule for rule in compiled.rules if _is_early(rule, draft.route.id))
    late = () if draft.is_public else tuple(rule for rule in compiled.rules if _is_late(rule, draft.route.id))
    grants = [rule for rule in compiled.grants if not rule.authenticators.isdisjoint(draft.authn)]
    conditions = [rule.condition for rule in (*everywhere, *early, *late)]
    conditions += [rule.condition for rule in grants]
    access = compiled.access
    size = None if draft.document.body is None else draft.document.body.max_request
    streams, mfa = draft.document.streams, draft.document.mfa
    return Plan(
        route=draft.route,
        destination=destination,
        authn=draft.authn,
        also=draft.also,
        because=draft.because,
        require=draft.require,
        when=draft.when,
        deny_early=early,
        deny_identity=late,
        limits=LimitPlan(
            defaults=compiled.default_limits, route=draft.limits, by_role=compiled.access.role_limits
        ),
        max_request=_largest(destination, draft) if size is None else size.bytes,
        websocket=draft.websocket,
        cors=draft.cors,
        mfa_max_age=None if mfa is None else mfa.max_age,
        outlives_credential=streams is not None and streams.on_expiry == "keep",
        encrypt_response=draft.encryption.response,
        decrypt_request=draft.encryption.request,
        recorded=_recorded(
            compiled,
            conditions if draft.when is None else [*conditions, draft.when],
            also={f"client.cert.{access.authenticators[name].subject}" for name in draft.also},
        ),
    )


def _recorded(
    compiled: Compiled, conditions: Sequence[Condition], *, also: AbstractSet[str] = frozenset()
) -> Recorded:
    """Return what is recorded: what conditions look at, and `also` these."""
    referenced = {name for condition in conditions for name in condition.attributes} | also
    read = {name for condition in conditions for name in condition.attributes - condition.unread} | also
    credentials = credential_fields(compiled.access.authenticators)
    return compile_recorded(referenced, compiled.redaction, unread=credentials | (referenced - read))


def _largest(destination: Upstream | Respond, draft: RouteDraft) -> int | None:
    """Return what a body may have at most. An answer of our own reads none, so its length does not matter."""
    size = destination.max_request if isinstance(destination, Upstream) else None
    if draft.encryption.request is not None:
        return LARGEST_HELD if size is None else min(size, LARGEST_HELD)
    return size


def _is_early(rule: DenyRule, route: str) -> bool:
    """Say whether a rule guards this route before authentication; rules for everything come earlier still."""
    return rule.routes is not None and route in rule.routes and not rule.condition.needs_identity


def _is_late(rule: DenyRule, route: str) -> bool:
    return rule.condition.needs_identity and (rule.routes is None or route in rule.routes)
