"""Which route is meant: reading the target and the Host one way only, and finding the route by them."""

from gateway.routing.host import read_host
from gateway.routing.target import Ambiguous, Oddities, TargetParts, read_target, spelled, without_userinfo
from gateway.routing.template import template_params
from gateway.routing.trie import Match, MethodMismatch, RouteClash, RouteTrie

__all__ = [
    "Ambiguous",
    "Match",
    "MethodMismatch",
    "Oddities",
    "RouteClash",
    "RouteTrie",
    "TargetParts",
    "read_host",
    "read_target",
    "spelled",
    "template_params",
    "without_userinfo",
]
