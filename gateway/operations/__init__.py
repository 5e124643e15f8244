"""One function for each of the operators' verbs; the command line calls them, and so will an API."""

from gateway.operations.audit import Page, Reading, export_records, list_records, note_reading, tail
from gateway.operations.keys import CreatedKey, create_key, list_keys, revoke_key
from gateway.operations.operator import operator_at_the_command_line
from gateway.operations.users import DeletedUser, EraseLater, create_user, delete_user, list_users
from gateway.operations.verify import prune_trail, verify_trail

__all__ = [
    "CreatedKey",
    "DeletedUser",
    "EraseLater",
    "Page",
    "Reading",
    "create_key",
    "create_user",
    "delete_user",
    "export_records",
    "list_keys",
    "list_records",
    "list_users",
    "note_reading",
    "operator_at_the_command_line",
    "prune_trail",
    "revoke_key",
    "tail",
    "verify_trail",
]
