"""The endpoints where accounts are made, and where they get back to their owners."""

from typing import Final

from gateway.accounts import (
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
from gateway.edge.accounts import (
    Outcome,
    account_answer,
    account_endpoint,
    body_endpoint,
    done_answer,
    origin_of,
)
from gateway.edge.auth_pages import CONFIRM_PAGE, RESET_PAGE
from gateway.edge.own import Call, Endpoint
from gateway.web import Answer, json_answer

_MAILED: Final = json_answer(
    202, {"message": "If there is something to do, a mail is on its way to this address and says what."}
)
"""What everybody is answered, whether anybody gets a mail or not."""


def registration_endpoints(
    registering: Registering, confirming: Confirming, recovering: Recovering
) -> list[Endpoint]:
    """Return the endpoints about accounts, their addresses and their passwords."""

    async def register(call: Call, rules: AccountRules, body: RegisterBody) -> Outcome:
        made = await registering.register(body, rules=rules, origin=origin_of(call))
        return _MAILED if isinstance(made, Done) else account_answer(made, status=201)

    async def verify(call: Call, _rules: AccountRules, body: VerifyBody) -> Outcome:
        return done_answer(await confirming.verify(body, origin=origin_of(call)))

    async def resend(_call: Call, _rules: AccountRules, body: EmailBody) -> Outcome:
        return done_answer(await confirming.resend(body), _MAILED)

    async def change(call: Call, rules: AccountRules, body: PasswordBody) -> Outcome:
        changed = await recovering.change(call.principal, body, rules=rules, origin=origin_of(call))
        return done_answer(changed)

    async def forgot(_call: Call, _rules: AccountRules, body: EmailBody) -> Outcome:
        return done_answer(await recovering.forgot(body), _MAILED)

    async def reset(call: Call, rules: AccountRules, body: ResetBody) -> Outcome:
        return done_answer(await recovering.reset(body, rules=rules, origin=origin_of(call)))

    return [
        body_endpoint("register", RegisterBody, register, "Make an account."),
        body_endpoint("email/verify", VerifyBody, verify, "Confirm an address with the token of a mail."),
        _page("email/verify", CONFIRM_PAGE, "The page that the link in such a mail opens."),
        body_endpoint(
            "email/resend", EmailBody, resend, "Have the mail that confirms an address sent again."
        ),
        body_endpoint(
            "password",
            PasswordBody,
            change,
            "Choose another password, for who is logged in.",
            needs_principal=True,
        ),
        body_endpoint("password/forgot", EmailBody, forgot, "Have a mail sent for a new password."),
        body_endpoint("password/reset", ResetBody, reset, "Choose a new password with the token of a mail."),
        _page("password/reset", RESET_PAGE, "The page that the link in such a mail opens."),
    ]


def _page(path: str, page: Answer, summary: str) -> Endpoint:
    async def show(_call: Call, _rules: AccountRules) -> Answer:
        return page

    return account_endpoint("GET", path, show, summary, name=f"{path.replace('/', '.')}.page")
