"""Every code a finding can have, with its meaning. The reference is generated from this table.

Codes are stable: scripts filter on them. A code is never used again for something else.
"""

from collections.abc import Mapping
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs. Any error means that the configuration is not used."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    """Nothing is wrong; it is listed so that somebody reads it."""


CODES: Mapping[str, str] = {
    "E001": "The file is not valid YAML.",
    "E002": "The file cannot be read.",
    "E003": "The file is not UTF-8 text without a byte order mark.",
    "E004": "A key is written twice in one mapping; YAML would silently keep the last.",
    "E005": "Anchors, aliases and merge keys are not part of these files.",
    "E006": "YAML tags are not part of these files.",
    "E007": "The file holds more than one YAML document.",
    "E008": "A key is not text.",
    "E009": "The file is empty.",
    "E010": "A tab is used for indentation.",
    "E011": "The file is too large, or nested too deeply.",
    "E012": "An interpolation is not understood.",
    "E013": "An environment variable is not set.",
    "E014": "A file named by an interpolation cannot be read.",
    "E015": "Interpolation is used where the text is never interpolated.",
    "E100": "The value is of the wrong kind, as a number where text is needed.",
    "E101": "The key is not known here.",
    "E102": "A key is missing.",
    "E103": "The scope is not in the vocabulary under `scopes:`.",
    "E104": "The role is not declared under `roles:`.",
    "E105": "Roles inherit from each other in a circle.",
    "E106": "The network is not declared under `networks:`.",
    "E107": "The route's path has no such parameter.",
    "E108": "The schedule is not declared under `schedules:`.",
    "E109": "The value cannot be used; the text says what to write instead.",
    "E110": "A public route does not say why it is public.",
    "E111": "A public route asks for something that only an identified caller can have.",
    "E112": "A route is neither public nor says what it requires.",
    "E113": "A list that must have entries is empty.",
    "E114": "`require` and the methods of the route do not cover each other.",
    "E115": "The upstream is not declared in the upstreams file.",
    "E116": "The authenticator is not declared under `authenticators:`.",
    "E117": "There is no route with this id.",
    "E118": "A name is taken, by another entry or by the gateway itself.",
    "E119": "A wildcard stands for no scope at all.",
    "E120": "The condition uses an unknown operator.",
    "E121": "The condition looks at an unknown attribute.",
    "E122": "The operand does not fit the operator.",
    "E123": "Nothing says how the callers of a route identify themselves.",
    "E124": "The limit can never admit a request.",
    "E125": "The version of the file's format is not known.",
    "E126": "`public` stands beside other authenticators.",
    "E127": "Two keys contradict each other, or one is of no use without another.",
    "E128": "A certificate or key file cannot be read, or does not hold what it should.",
    "E190": "The gateway cannot enforce this yet, and refuses to start rather than ignore it.",
    "E201": "Two routes would match the same requests.",
    "E202": "A route lies under `/gateway/`, which belongs to the gateway.",
    "E203": "The path template is not valid.",
    "E204": "The host is not valid.",
    "E205": "The target of an upstream is not valid.",
    "W301": "A scope is declared, but no route requires it.",
    "W302": "A route requires a scope that no role holds: nobody can call it.",
    "W303": "A role grants nothing.",
    "W304": "A limit counts by something that the client chooses freely.",
    "W305": "An upstream is declared, but no route leads to it.",
    "W306": "A date is in the past, or soon will be.",
    "W307": "A condition can never hold for any caller that the route accepts.",
    "W308": "A deny rule has no effect on a public route.",
    "W309": "Everybody who registers gets powers over the gateway itself.",
    "W310": "A role holds scopes through a wildcard.",
    "W311": "A route is public.",
    "W312": "Requests are decrypted with a key that encrypts responses too.",
}

_NOTES = frozenset({"W310", "W311"})


def severity_of(code: str) -> Severity:
    """Return how much findings with this code weigh."""
    if code in _NOTES:
        return Severity.NOTE
    return Severity.WARNING if code.startswith("W") else Severity.ERROR
