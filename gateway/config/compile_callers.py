"""From authenticators and accounts as they are written to how callers are known."""

from collections.abc import Mapping

from gateway.accounts import AccountRules
from gateway.config.compile_limits import LimitCompiler
from gateway.config.documents import AccountsDocument, ApiKeyDocument, GatewayJwtDocument, PoliciesDocument
from gateway.config.names_check import check_names
from gateway.config.places import Path
from gateway.config.source import SourceFile
from gateway.config.words import quoted
from gateway.identity import AuthenticatorSpec

_NEVER_KEYS = frozenset(
    {"authorization", "cookie", "host", "content-length", "transfer-encoding", "connection"}
)


def compile_authenticators(document: PoliciesDocument, source: SourceFile) -> Mapping[str, AuthenticatorSpec]:
    """Return the authenticators by name; what is wrong with them is reported."""
    found: dict[str, AuthenticatorSpec] = {}
    readers: dict[str, str] = {}
    for name, each in document.authenticators.items():
        path: Path = ("authenticators", name)
        if name in {"public", "authenticated"}:
            source.report(
                "E118",
                path,
                f"{quoted(name)} already means something on a route",
                "choose another name",
                key=True,
            )
        match each:
            case GatewayJwtDocument():
                reads = "Bearer tokens of this gateway"
                found[name] = AuthenticatorSpec(name=name, kind=each.kind)
            case ApiKeyDocument():
                reads = f"the field {each.header}"
                found[name] = AuthenticatorSpec(name=name, kind=each.kind, header=each.header)
                if each.header in _NEVER_KEYS or each.header.startswith("x-gateway-"):
                    source.report(
                        "E109",
                        (*path, "header"),
                        f"{quoted(each.header)} cannot carry a key: it means something else",
                        "write x-api-key",
                    )
            case _:
                continue
        if reads in readers:
            source.report(
                "E118",
                path,
                f"{quoted(readers[reads])} reads {reads} already",
                "remove one of the two",
                key=True,
            )
        readers.setdefault(reads, name)
    return found


def compile_accounts(document: AccountsDocument, source: SourceFile, limits: LimitCompiler) -> AccountRules:
    """Return the rules for the gateway's own users; what is wrong with them is reported."""
    roles = source.names("roles")
    check_names(
        roles, document.default_roles, ("accounts", "default_roles"), source, code="E104", noun="role"
    )
    login = document.login
    path: Path = ("accounts", "login")
    check_names(
        source.names("networks"),
        login.networks or [],
        (*path, "networks"),
        source,
        code="E106",
        noun="network",
    )
    limits.compile(login.limits or (), "login", (*path, "limits"), at_login=True)
    tokens = document.tokens
    return AccountRules(
        registration_open=document.registration == "open",
        default_roles=frozenset(document.default_roles),
        password_min_length=document.password.min_length,
        access_lifetime=tokens.access,
        refresh_idle=tokens.refresh_idle,
        refresh_absolute=tokens.refresh_absolute,
        reuse_grace=tokens.reuse_grace,
    )
