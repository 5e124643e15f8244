"""One function for each of the operators' verbs; the command line calls them, and so will an API."""

from gateway.operations.audit import list_records, note_reading, tail
from gateway.operations.keys import CreatedKey, create_key, list_keys, revoke_key
from gateway.operations.operator import operator_at_the_command_line
from gateway.operations.users import create_user, list_users

__all__ = [
    "CreatedKey",
    "create_key",
    "create_user",
    "list_keys",
    "list_records",
    "list_users",
    "note_reading",
    "operator_at_the_command_line",
    "revoke_key",
    "tail",
]
