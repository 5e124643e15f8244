"""What the listeners share: answers, problems, the state of readiness."""

from gateway.web.answer import NO_STORE, Answer, json_answer
from gateway.web.oauth import NO_CACHE, oauth_error_for
from gateway.web.problems import problem_for, rate_lines
from gateway.web.readiness import Readiness, merged_report

__all__ = [
    "NO_CACHE",
    "NO_STORE",
    "Answer",
    "Readiness",
    "json_answer",
    "merged_report",
    "oauth_error_for",
    "problem_for",
    "rate_lines",
]
