"""One function for each of the operators' verbs; the command line calls them, and so will an API."""

from gateway.operations.audit import Page, Reading, export_records, list_records, note_reading, tail
from gateway.operations.blocks import add_block, list_blocks, remove_block
from gateway.operations.clients import (
    IssuedClient,
    create_client,
    key_thumbprint,
    list_clients,
    revoke_client,
    rotate_client,
    set_client_key,
)
from gateway.operations.crypto import (
    Item,
    decrypt_values,
    encrypt_values,
    no_such_key,
    rewrap_values,
)
from gateway.operations.crypto_keys import (
    create_crypto_key,
    find_crypto_key,
    list_crypto_keys,
    retire_crypto_key,
    rotate_crypto_key,
)
from gateway.operations.crypto_messages import Messages
from gateway.operations.invites import create_invite, list_invites, revoke_invite
from gateway.operations.keys import CreatedKey, create_key, list_keys, revoke_key, rotate_key
from gateway.operations.operator import operator_at_the_command_line
from gateway.operations.rekey import Rekeyed, Rekeying
from gateway.operations.second_factor import remove_second_factor
from gateway.operations.signing_keys import (
    KeyState,
    ListedSigningKey,
    RevokedSigningKey,
    keep_signing_keys_young,
    list_signing_keys,
    revoke_signing_key,
    rotate_signing_key,
    rotate_when_due,
)
from gateway.operations.user_changes import disable_user, enable_user, set_password, set_roles
from gateway.operations.users import (
    DeletedUser,
    EraseLater,
    UserDetails,
    create_user,
    delete_user,
    list_users,
    show_user,
)
from gateway.operations.verify import prune_trail, verify_trail

__all__ = [
    "CreatedKey",
    "DeletedUser",
    "EraseLater",
    "IssuedClient",
    "Item",
    "KeyState",
    "ListedSigningKey",
    "Messages",
    "Page",
    "Reading",
    "Rekeyed",
    "Rekeying",
    "RevokedSigningKey",
    "UserDetails",
    "add_block",
    "create_client",
    "create_crypto_key",
    "create_invite",
    "create_key",
    "create_user",
    "decrypt_values",
    "delete_user",
    "disable_user",
    "enable_user",
    "encrypt_values",
    "export_records",
    "find_crypto_key",
    "keep_signing_keys_young",
    "key_thumbprint",
    "list_blocks",
    "list_clients",
    "list_crypto_keys",
    "list_invites",
    "list_keys",
    "list_records",
    "list_signing_keys",
    "list_users",
    "no_such_key",
    "note_reading",
    "operator_at_the_command_line",
    "prune_trail",
    "remove_block",
    "remove_second_factor",
    "retire_crypto_key",
    "revoke_client",
    "revoke_invite",
    "revoke_key",
    "revoke_signing_key",
    "rewrap_values",
    "rotate_client",
    "rotate_crypto_key",
    "rotate_key",
    "rotate_signing_key",
    "rotate_when_due",
    "set_client_key",
    "set_password",
    "set_roles",
    "show_user",
    "tail",
    "verify_trail",
]
