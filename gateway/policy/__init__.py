"""May they? Scopes and roles, conditions of three values, deny rules, schedules."""

from gateway.policy.base import Condition, DenyRule, Facts, Test, Truth
from gateway.policy.condition import compile_condition
from gateway.policy.role import Roles, find_cycle
from gateway.policy.schedule import Schedule
from gateway.policy.scope import BUILT_IN_SCOPES, expand_scope, is_wildcard

__all__ = [
    "BUILT_IN_SCOPES",
    "Condition",
    "DenyRule",
    "Facts",
    "Roles",
    "Schedule",
    "Test",
    "Truth",
    "compile_condition",
    "expand_scope",
    "find_cycle",
    "is_wildcard",
]
