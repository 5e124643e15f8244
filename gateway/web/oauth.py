"""A refusal as OAuth clients read it (RFC 6749 section 5.2), where `problem_for` is for everybody else."""

import re
from typing import Final

from gateway.model import Line, Reason, Refusal, status_of
from gateway.web.answer import Answer, json_answer
from gateway.web.problems import refusal_lines

NO_CACHE: Final[Line] = (b"Pragma", b"no-cache")
"""Beside `Cache-Control: no-store` on what carries tokens (RFC 6749 section 5.1)."""
_BASIC: Final[Line] = (b"WWW-Authenticate", b'Basic realm="gateway"')
_STATUS: Final = {
    "invalid_client": 401,
    "invalid_dpop_proof": 400,
    "invalid_grant": 400,
    "invalid_request": 400,
    "invalid_scope": 400,
    "invalid_target": 400,
    "unauthorized_client": 400,
    "unsupported_grant_type": 400,
    "use_dpop_nonce": 400,
}
"""Statuses that go with a code whatever the reason is."""
_CODES: Final = {
    Reason.CREDENTIALS_INVALID: "invalid_token",
    Reason.CREDENTIALS_MISSING: "invalid_token",
    Reason.MFA_REQUIRED: "insufficient_user_authentication",
    Reason.INSUFFICIENT_SCOPE: "insufficient_scope",
    Reason.DENIED: "access_denied",
    Reason.ADDRESS_BLOCKED: "access_denied",
    Reason.RATE_EXCEEDED: "temporarily_unavailable",
    Reason.INTERNAL: "server_error",
}
"""Codes of what is refused before anybody asks what it is about."""
_FIRST_OF_SERVER: Final = 500
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""What may not stand in a description (RFC 6749 section 5.2)."""


def oauth_error_for(refusal: Refusal, *, request_id: str) -> Answer:
    """Return the answer to a refused request to the token endpoint and its neighbours. The diagnosis stays
    inside."""
    status = _STATUS.get(refusal.oauth_error, status_of(refusal.reason))
    code = refusal.oauth_error or _CODES.get(refusal.reason) or _code(status)
    body = {"error": code}
    if refusal.detail is not None:
        body["error_description"] = _UNPRINTABLE.sub("'", refusal.detail)
    lines = refusal_lines(refusal, request_id)
    if code == "invalid_client":
        # RFC 9110 section 15.5.2: no 401 without a challenge; Basic is the one way that has a field.
        lines.append(_BASIC)
    answer = json_answer(status, body, NO_CACHE, *lines)
    return Answer(status=answer.status, lines=answer.lines, body=answer.body, close=refusal.close)


def _code(status: int) -> str:
    return "temporarily_unavailable" if status >= _FIRST_OF_SERVER else "invalid_request"
