"""From the vocabulary and the roles as they are written to who holds which scope."""

from gateway.config.documents import PoliciesDocument
from gateway.config.names_check import check_names
from gateway.config.places import Path
from gateway.config.source import Names, SourceFile
from gateway.config.words import did_you_mean, quoted
from gateway.policy import BUILT_IN_SCOPES, Roles, expand_scope, find_cycle, is_wildcard


def compile_scopes(source: SourceFile) -> Names:
    """Return the scopes that may be required: the declared ones and the built-in ones."""
    names = source.names("scopes")
    for name in sorted(names.known):
        if name == "gateway" or name.startswith("gateway:"):
            source.report(
                "E118",
                ("scopes", name),
                f"{quoted(name)}: scopes of gateway: are built in",
                "choose another name",
                key=True,
            )
    return Names(names.known | BUILT_IN_SCOPES, knows_all=names.knows_all)


def compile_roles(document: PoliciesDocument, source: SourceFile) -> Roles:
    """Return the roles; what is wrong with them is reported."""
    vocabulary = source.names("scopes")
    for name, role in document.roles.items():
        path: Path = ("roles", name)
        check_names(
            source.names("roles"), role.inherits, (*path, "inherits"), source, code="E104", noun="role"
        )
        for index, scope in enumerate(role.scopes):
            if vocabulary.knows_all or expand_scope(scope, vocabulary.known):
                continue
            at = (*path, "scopes", index)
            known = vocabulary.known | BUILT_IN_SCOPES
            if not is_wildcard(scope):
                source.report("E103", at, f"unknown scope {quoted(scope)}", did_you_mean(scope, known))
                continue
            prefixes = {f"{each.rsplit(':', 1)[0]}:*" for each in known if ":" in each}
            source.report(
                "E119", at, f"no declared scope matches {quoted(scope)}", did_you_mean(scope, prefixes)
            )
    _check_cycles(document, source)
    return Roles(
        {name: (role.scopes, role.inherits) for name, role in document.roles.items()}, vocabulary.known
    )


def _check_cycles(document: PoliciesDocument, source: SourceFile) -> None:
    inherits = {name: list(role.inherits) for name, role in document.roles.items()}
    while (cycle := find_cycle(inherits)) is not None:
        last, first = cycle[-2], cycle[-1]
        source.report(
            "E105",
            ("roles", last, "inherits", document.roles[last].inherits.index(first)),
            f"roles inherit in a circle: {' -> '.join(cycle)}",
            "remove one of the steps",
        )
        inherits[last] = [each for each in inherits[last] if each != first]
