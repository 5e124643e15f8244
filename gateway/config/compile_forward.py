"""From `forward` as it is written to how requests and responses are changed on their way."""

from gateway.config.documents import CommonDocument
from gateway.config.merge import first
from gateway.config.places import Path
from gateway.config.set_fields import FRAMING, check_set_fields
from gateway.config.snapshot import ForwardRules
from gateway.config.source import SourceFile
from gateway.config.words import quoted


def compile_forward(document: CommonDocument, defaults: CommonDocument) -> ForwardRules:
    """Return the rules of an upstream, each key its own or else the default."""
    own, base = document.forward, defaults.forward
    return ForwardRules(
        host=first(own.host, base.host, "preserve"),
        identity=first(own.identity, base.identity, "signed_jwt"),
        binds_request=first(own.bind, base.bind, "caller") == "request",
        pass_credentials=first(own.credentials, base.credentials, "strip") == "pass",
        remove_request_headers=tuple(
            first(own.remove_request_headers, base.remove_request_headers, ["x-internal-*"])
        ),
        remove_response_headers=tuple(
            first(own.remove_response_headers, base.remove_response_headers, ["server", "x-powered-by"])
        ),
        set_request_headers=tuple(first(own.set_request_headers, base.set_request_headers, {}).items()),
        set_response_headers=tuple(first(own.set_response_headers, base.set_response_headers, {}).items()),
    )


def check_forward(
    document: CommonDocument, source: SourceFile, path: Path, *, defaults: CommonDocument | None = None
) -> None:
    """Report what is wrong with the rules that are written at a path; `defaults` stand for what is not."""
    forward = document.forward
    path = (*path, "forward")
    identity = forward.identity or (None if defaults is None else defaults.forward.identity)
    is_known = not any(source.is_lost((*at, "identity")) for at in (path, ("defaults", "forward")))
    if forward.bind == "request" and is_known and identity not in {None, "signed_jwt"}:
        source.report(
            "E127",
            (*path, "bind"),
            f"only an assertion can be bound to a request, and the identity goes as {quoted(str(identity))}",
            'write identity: signed_jwt, or remove "bind"',
            key=True,
        )
    for key in ("set_request_headers", "set_response_headers"):
        check_set_fields(source, (*path, key), is_request=key == "set_request_headers")
    for key, patterns in (
        ("remove_request_headers", forward.remove_request_headers),
        ("remove_response_headers", forward.remove_response_headers),
    ):
        vital = (*FRAMING, "host") if key == "remove_request_headers" else FRAMING
        for index, pattern in enumerate(patterns or ()):
            struck = [
                name
                for name in vital
                if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))
            ]
            if struck:
                source.report(
                    "E109",
                    (*path, key, index),
                    f"{quoted(pattern)} would remove {struck[0]}, without which a message cannot be read",
                    "name the fields more narrowly",
                )
