"""From authenticators and accounts as they are written to how callers are known."""

from collections.abc import Mapping

from gateway.accounts import LONGEST_ACCESS_LIFE, LONGEST_REUSE_GRACE, AccountRules, BlockRules
from gateway.config.addresses import Network
from gateway.config.compile_issuers import compile_issuer
from gateway.config.compile_limits import LimitCompiler
from gateway.config.documents import (
    AccountsDocument,
    ApiKeyDocument,
    GatewayJwtDocument,
    JwtDocument,
    PoliciesDocument,
    TokensDocument,
)
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
            case JwtDocument():
                reads = f"tokens of {each.issuer}"
                external = compile_issuer(each, source, path)
                found[name] = AuthenticatorSpec(name=name, kind=each.kind, external=external)
            case _:
                reads = f"certificates by {each.subject}"
                found[name] = AuthenticatorSpec(name=name, kind=each.kind, subject=each.subject)
        if reads in readers:
            source.report(
                "E118",
                path,
                f"{quoted(readers[reads])} reads {reads} already",
                "remove one of the two",
                key=True,
            )
        readers.setdefault(reads, name)
    _check_ids(found, source)
    return found


def _check_ids(found: Mapping[str, AuthenticatorSpec], source: SourceFile) -> None:
    """Report an issuer whose callers could have the ids of somebody with a certificate, `machines|NAME`."""
    for name, spec in found.items():
        other = None if spec.external is None else found.get(spec.external.issuer)
        if other is not None and other.kind == "mtls":
            source.report(
                "E118",
                ("authenticators", name, "issuer"),
                f"the ids of its callers begin as those of {quoted(other.name)} do, and could be the same",
                f"give {quoted(other.name)} another name",
            )


def _check_tokens(tokens: TokensDocument, source: SourceFile) -> None:
    path: Path = ("accounts", "tokens")
    if tokens.access > LONGEST_ACCESS_LIFE:
        source.report(
            "E109",
            (*path, "access"),
            "an access token cannot live for longer than a day",
            "write 10min; whoever is logged in for longer uses the refresh token",
        )
    if "refresh_idle" in tokens.model_fields_set and tokens.refresh_idle > tokens.refresh_absolute:
        source.report(
            "E127",
            (*path, "refresh_idle"),
            "no session is idle for longer than it can live at all",
            "lower refresh_idle, or raise refresh_absolute",
        )
    if tokens.reuse_grace > LONGEST_REUSE_GRACE:
        source.report(
            "E109",
            (*path, "reuse_grace"),
            "a refresh token that was used up cannot be good for longer than a minute",
            "write 10s; an answer that was lost can be asked for again much later",
        )


def compile_accounts(
    document: AccountsDocument,
    source: SourceFile,
    limits: LimitCompiler,
    networks: Mapping[str, tuple[Network, ...]],
) -> AccountRules:
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
    tokens = document.tokens
    _check_tokens(tokens, source)
    block = login.block
    if block is not None and block.max is not None and block.max < block.for_:
        source.report(
            "E127",
            (*path, "block", "max"),
            "no block can be shorter than the first",
            "raise max, or lower for",
        )
    return AccountRules(
        registration=document.registration,
        default_roles=frozenset(document.default_roles),
        verifies_email=document.email_verification == "required",
        password_min_length=document.password.min_length,
        rejects_common=document.password.reject_common,
        access_lifetime=tokens.access,
        refresh_idle=tokens.refresh_idle,
        refresh_absolute=tokens.refresh_absolute,
        reuse_grace=tokens.reuse_grace,
        login_networks=None
        if login.networks is None
        else tuple(each for name in login.networks for each in networks.get(name, ())),
        login_limits=limits.compile(login.limits or (), "login", (*path, "limits"), at_login=True),
        block=None
        if block is None
        else BlockRules(
            failures=block.failures,
            within=block.within,
            first=block.for_,
            factor=block.factor,
            longest=block.max,
        ),
    )
