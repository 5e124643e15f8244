"""THE CHAIN: route, authenticate, authorize, limit, audit. Plain functions from one rung to the next.

Each rung's type is the proof of the one before, so a stage that is left out does not type-check; what was
given up is the familiar look of framework middlewares, where a missing one silently lets requests through.
"""

from gateway.pipeline.chain import Stages, ambiguous
from gateway.pipeline.cors import PAGE_FIELDS, asked_method, page_lines, preflight
from gateway.pipeline.enforcer import CHECK_STATUS, PREFLIGHT_STATUS, Enforcer
from gateway.pipeline.own import OwnRoute, lacks_scope

__all__ = [
    "CHECK_STATUS",
    "PAGE_FIELDS",
    "PREFLIGHT_STATUS",
    "Enforcer",
    "OwnRoute",
    "Stages",
    "ambiguous",
    "asked_method",
    "lacks_scope",
    "page_lines",
    "preflight",
]
