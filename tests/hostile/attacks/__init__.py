"""All attacks of clients, by class."""

from hostile.attacks import (
    burdens,
    callers,
    chunks,
    claims,
    codings,
    connections,
    fields,
    hosts,
    lengths,
    methods,
    own,
    pages,
    paths,
    proxies,
    replies,
    sockets,
    targets,
)

ALL = [
    case
    for attacks in (
        paths,
        targets,
        fields,
        hosts,
        lengths,
        codings,
        chunks,
        connections,
        claims,
        methods,
        callers,
        own,
        pages,
        sockets,
        replies,
        proxies,
        burdens,
    )
    for case in attacks.CASES
]
