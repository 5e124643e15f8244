"""The gateway's own users: registration, login, sessions and their tokens."""

from gateway.accounts.access_token import AccessTokens
from gateway.accounts.bodies import (
    Body,
    EmailBody,
    EnrolBody,
    LoginBody,
    LogoutBody,
    OtpBody,
    PasswordBody,
    RefreshBody,
    RegisterBody,
    RemoveFactorBody,
    ResetBody,
    VerifyBody,
    body_fault,
)
from gateway.accounts.client_proof import ClientProof, read_basic, read_client_proof
from gateway.accounts.client_secret import issue_client_secret
from gateway.accounts.clients import Client, Clients, PublicClient, client_principal
from gateway.accounts.confirming import Confirming
from gateway.accounts.correspondence import Correspondence
from gateway.accounts.device import DEVICE_SECONDS, Device, Devices
from gateway.accounts.ending import Ending
from gateway.accounts.errand import Errand, ErrandKind
from gateway.accounts.guard import Attempt, Guard
from gateway.accounts.ids import is_user_id, new_id
from gateway.accounts.invites import IssuedInvite, issue_invite
from gateway.accounts.issuing import Issuing, ScopesOf
from gateway.accounts.letters import Letters
from gateway.accounts.links import Links
from gateway.accounts.login import LoggedIn, Login
from gateway.accounts.mailing import Mailing, MailRound
from gateway.accounts.names import fault_in_email, fault_in_username
from gateway.accounts.networks import outside_networks
from gateway.accounts.oauth_form import Form, FormFlaw, read_form
from gateway.accounts.oauth_granting import GRANT_TYPES, Granting, refuse_grant
from gateway.accounts.oauth_introspecting import INACTIVE, INTROSPECTION_SCOPE, Introspecting
from gateway.accounts.oauth_revoking import Revoking
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import (
    DONE,
    Account,
    AccountRefusal,
    ClientToken,
    Done,
    TokenPair,
    invalid,
    no_room,
)
from gateway.accounts.own_factor import Enrolment, OwnFactor, RecoveryCodes
from gateway.accounts.own_password import OwnPassword
from gateway.accounts.own_sessions import OwnSession, OwnSessions
from gateway.accounts.password_rules import fault_in_password
from gateway.accounts.passwords import HashingBusy, Passwords
from gateway.accounts.recording import Recorder, principal_of
from gateway.accounts.recovering import Recovering
from gateway.accounts.refreshing import Refreshing
from gateway.accounts.registering import Registering
from gateway.accounts.registrar import Registrar
from gateway.accounts.renewal import Renewal
from gateway.accounts.rules import LONGEST_ACCESS_LIFE, LONGEST_REUSE_GRACE, AccountRules, BlockRules
from gateway.accounts.second_factor import Factors, SecondFactor
from gateway.accounts.sessions import Sessions
from gateway.accounts.whole import Accounts

__all__ = [
    "DEVICE_SECONDS",
    "DONE",
    "GRANT_TYPES",
    "INACTIVE",
    "INTROSPECTION_SCOPE",
    "LONGEST_ACCESS_LIFE",
    "LONGEST_REUSE_GRACE",
    "AccessTokens",
    "Account",
    "AccountRefusal",
    "AccountRules",
    "Accounts",
    "Attempt",
    "BlockRules",
    "Body",
    "Client",
    "ClientProof",
    "ClientToken",
    "Clients",
    "Confirming",
    "Correspondence",
    "Device",
    "Devices",
    "Done",
    "EmailBody",
    "Ending",
    "EnrolBody",
    "Enrolment",
    "Errand",
    "ErrandKind",
    "Factors",
    "Form",
    "FormFlaw",
    "Granting",
    "Guard",
    "HashingBusy",
    "Introspecting",
    "IssuedInvite",
    "Issuing",
    "Letters",
    "Links",
    "LoggedIn",
    "Login",
    "LoginBody",
    "LogoutBody",
    "MailRound",
    "Mailing",
    "Origin",
    "OtpBody",
    "OwnFactor",
    "OwnPassword",
    "OwnSession",
    "OwnSessions",
    "PasswordBody",
    "Passwords",
    "PublicClient",
    "Recorder",
    "Recovering",
    "RecoveryCodes",
    "RefreshBody",
    "Refreshing",
    "RegisterBody",
    "Registering",
    "Registrar",
    "RemoveFactorBody",
    "Renewal",
    "ResetBody",
    "Revoking",
    "ScopesOf",
    "SecondFactor",
    "Sessions",
    "TokenPair",
    "VerifyBody",
    "body_fault",
    "client_principal",
    "fault_in_email",
    "fault_in_password",
    "fault_in_username",
    "invalid",
    "is_user_id",
    "issue_client_secret",
    "issue_invite",
    "new_id",
    "no_room",
    "outside_networks",
    "principal_of",
    "read_basic",
    "read_client_proof",
    "read_form",
    "refuse_grant",
]
