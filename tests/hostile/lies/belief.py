"""What a client was made to believe."""

from hostile.answers import Unreadable, read_answers
from hostile.evidence import Evidence
from hostile.lies.lie import Lie


def believed(lie: Lie, evidence: Evidence) -> list[str]:
    """Return what the client was made to believe by a lie of its upstream."""
    try:
        answers = read_answers(
            evidence.shot.got,
            heads={0} if lie.method == b"HEAD" else (),
            version_1_0=lie.version == b"HTTP/1.0",
        )
    except Unreadable:
        # Found elsewhere already.
        return []
    found = [
        f"the client got the evil answer: {answer}"
        for answer in answers
        if b"evil" in answer.request_id.encode()
    ]
    interims = [answer for answer in answers if answer.is_interim]
    if interims and lie.version == b"HTTP/1.0":
        found.append(f"an interim answer to HTTP/1.0: {interims[0]}")
    final = [answer for answer in answers if not answer.is_interim]
    if not final:
        return [*found, "no answer"] if lie.cut is False else found
    first = final[0]
    if first.status in {502, 504}:
        if any(mark in first.body for mark in (b"hello", b"evil", b"X-A", b"127.0.0.1")):
            found.append(f"a part of the lie, or of our inside, in the refusal: {first.body!r}")
        return found
    if lie.cut is not None and first.whole is lie.cut:
        found.append(f"{'whole' if first.whole else 'cut short'}: {first}")
    if lie.body is not None and first.whole and first.body != lie.body:
        found.append(f"the client got the body {first.body[:200]!r}")
    names = {name.lower() for name, _ in first.lines}
    found += [f"the client got {name!r}" for name in lie.lacks if name in names]
    found += [
        f"the client lacks {line!r}" for line in lie.has if tuple(line.split(b": ", 1)) not in first.lines
    ]
    return found
