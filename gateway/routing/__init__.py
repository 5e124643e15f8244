"""Which route is meant: reading the target and the Host one way only, and finding the route by them."""

from gateway.routing.host import read_host
from gateway.routing.target import Ambiguous, TargetParts, read_target
from gateway.routing.template import template_params
from gateway.routing.trie import Match, MethodMismatch, RouteClash, RouteTrie

__all__ = [
    "Ambiguous",
    "Match",
    "MethodMismatch",
    "RouteClash",
    "RouteTrie",
    "TargetParts",
    "read_host",
    "read_target",
    "template_params",
]
