"""The gateway's own users: registration, login, sessions and their tokens."""

from gateway.accounts.access_token import AccessTokens
from gateway.accounts.bodies import LoginBody, LogoutBody, RefreshBody, RegisterBody
from gateway.accounts.ids import is_user_id
from gateway.accounts.names import fault_in_email, fault_in_username
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import DONE, Account, AccountRefusal, Done, TokenPair
from gateway.accounts.passwords import HashingBusy, Passwords
from gateway.accounts.registrar import Registrar
from gateway.accounts.rules import AccountRules
from gateway.accounts.service import Accounts, ScopesOf
from gateway.accounts.sessions import Sessions

__all__ = [
    "DONE",
    "AccessTokens",
    "Account",
    "AccountRefusal",
    "AccountRules",
    "Accounts",
    "Done",
    "HashingBusy",
    "LoginBody",
    "LogoutBody",
    "Origin",
    "Passwords",
    "RefreshBody",
    "RegisterBody",
    "Registrar",
    "ScopesOf",
    "Sessions",
    "TokenPair",
    "fault_in_email",
    "fault_in_username",
    "is_user_id",
]
