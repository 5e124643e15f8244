"""The endpoints where accounts are made, and where they get back to their owners."""

from typing import Final

from gateway.accounts import (
    AccountRefusal,
    AccountRules,
    Confirming,
    Done,
    EmailBody,
    PasswordBody,
    Recovering,
    RegisterBody,
    Registering,
    ResetBody,
    VerifyBody,
)
from gateway.edge.accounts import account_answer, account_endpoint, origin_of, refused
from gateway.edge.auth_pages import CONFIRM_PAGE, RESET_PAGE
from gateway.edge.own import Call, Endpoint
from gateway.model import Refusal
from gateway.web import Answer, json_answer

_MAILED: Final = json_answer(
    202, {"message": "If there is something to do, a mail is on its way to this address and says what."}
)
"""What everybody is answered, whether anybody gets a mail or not."""


def registration_endpoints(
    registering: Registering, confirming: Confirming, recovering: Recovering
) -> list[Endpoint]:
    """Return the endpoints about accounts, their addresses and their passwords."""

    async def register(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = RegisterBody.read(call.body, rules)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        made = await registering.register(body, rules=rules, origin=origin_of(call))
        return _MAILED if isinstance(made, Done) else account_answer(call, made, status=201)

    async def verify(call: Call, _rules: AccountRules) -> Answer | Refusal:
        body = VerifyBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        return _done(call, await confirming.verify(body, origin=origin_of(call)))

    async def resend(call: Call, _rules: AccountRules) -> Answer | Refusal:
        body = EmailBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        return _done(call, await confirming.resend(body), _MAILED)

    async def change(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = PasswordBody.read(call.body, rules)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        changed = await recovering.change(call.principal, body, rules=rules, origin=origin_of(call))
        return _done(call, changed)

    async def forgot(call: Call, _rules: AccountRules) -> Answer | Refusal:
        body = EmailBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        return _done(call, await recovering.forgot(body), _MAILED)

    async def reset(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = ResetBody.read(call.body, rules)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        return _done(call, await recovering.reset(body, rules=rules, origin=origin_of(call)))

    return [
        account_endpoint("POST", "register", register, "Make an account."),
        account_endpoint("POST", "email/verify", verify, "Confirm an address with the token of a mail."),
        _page("email/verify", CONFIRM_PAGE, "The page that the link in such a mail opens."),
        account_endpoint(
            "POST", "email/resend", resend, "Have the mail that confirms an address sent again."
        ),
        account_endpoint(
            "POST", "password", change, "Choose another password, for who is logged in.", needs_principal=True
        ),
        account_endpoint("POST", "password/forgot", forgot, "Have a mail sent for a new password."),
        account_endpoint("POST", "password/reset", reset, "Choose a new password with the token of a mail."),
        _page("password/reset", RESET_PAGE, "The page that the link in such a mail opens."),
    ]


def _page(path: str, page: Answer, summary: str) -> Endpoint:
    async def show(_call: Call, _rules: AccountRules) -> Answer:
        return page

    return account_endpoint("GET", path, show, summary, name=f"{path.replace('/', '.')}.page")


def _done(call: Call, done: Done | AccountRefusal, answer: Answer | None = None) -> Answer | Refusal:
    if isinstance(done, AccountRefusal):
        return refused(call, done)
    return answer or Answer(status=204)
