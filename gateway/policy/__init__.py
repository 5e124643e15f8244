"""May they? Scopes and roles, conditions of three values, deny rules, schedules."""

from gateway.policy.attributes import CERTIFICATE_ATTRIBUTES, Attribute, find_attribute
from gateway.policy.base import Condition, DenyRule, Facts, Test, Truth
from gateway.policy.condition import compile_condition
from gateway.policy.finding import Flaw, Names
from gateway.policy.grant import GrantRule, Grants
from gateway.policy.role import Roles, find_cycle
from gateway.policy.schedule import Schedule
from gateway.policy.scope import BUILT_IN_SCOPES, expand_scope, is_wildcard

__all__ = [
    "BUILT_IN_SCOPES",
    "CERTIFICATE_ATTRIBUTES",
    "Attribute",
    "Condition",
    "DenyRule",
    "Facts",
    "Flaw",
    "GrantRule",
    "Grants",
    "Names",
    "Roles",
    "Schedule",
    "Test",
    "Truth",
    "compile_condition",
    "expand_scope",
    "find_attribute",
    "find_cycle",
    "is_wildcard",
]
