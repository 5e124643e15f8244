"""From the policies file as a document to everything it says, resolved and cross-checked."""

from dataclasses import dataclass

from gateway.audit import Redaction
from gateway.config.compile_access import Access, compile_access
from gateway.config.compile_audit import compile_redaction
from gateway.config.compile_conditions import ConditionCompiler
from gateway.config.compile_limits import LimitCompiler
from gateway.config.compile_needs import NeedsCompiler
from gateway.config.compile_routes import RouteCompiler, RouteDraft
from gateway.config.compile_rules import RuleCompiler
from gateway.config.documents import PoliciesDocument
from gateway.config.source import Names, SourceFile
from gateway.model import Limit
from gateway.policy import DenyRule, GrantRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What the policies file says."""

    document: PoliciesDocument
    access: Access
    drafts: list[RouteDraft]
    rules: list[DenyRule]
    grants: list[GrantRule]
    default_limits: tuple[Limit, ...]
    crypto_limits: tuple[Limit, ...]
    redaction: Redaction


def compile_policies(document: PoliciesDocument, source: SourceFile, upstreams: Names) -> Compiled:
    """Return what the file says; what is wrong with it is reported."""
    limits = LimitCompiler(source)
    default_limits = limits.compile(document.defaults.limits, "defaults", ("defaults", "limits"))
    access = compile_access(document, source, limits)
    conditions = ConditionCompiler(source, access)
    needs = NeedsCompiler(document, source, access)
    _check_default_authn(document, source, needs)
    routes = RouteCompiler(document, source, access, upstreams, limits, conditions, needs)
    drafts = routes.compile()
    rules = RuleCompiler(document, source, access, conditions, drafts)
    return Compiled(
        document=document,
        access=access,
        drafts=drafts,
        rules=rules.compile(),
        grants=rules.compile_grants(),
        default_limits=default_limits,
        crypto_limits=limits.compile(document.crypto.limits, "crypto", ("crypto", "limits")),
        redaction=compile_redaction(document.audit, source, access.authenticators),
    )


def _check_default_authn(document: PoliciesDocument, source: SourceFile, needs: NeedsCompiler) -> None:
    authn = document.defaults.authn
    if authn == "public":
        source.report(
            "E126",
            ("defaults", "authn"),
            "the default cannot be public: every public route says so, and why",
            "write a list of authenticators",
        )
    elif isinstance(authn, list):
        needs.check_authn(authn, ("defaults", "authn"))
