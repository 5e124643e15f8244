"""The endpoints about one's own second factor."""

from gateway.accounts import (
    AccountRefusal,
    AccountRules,
    EnrolBody,
    OtpBody,
    OwnFactor,
    RecoveryCodes,
    RemoveFactorBody,
)
from gateway.edge.accounts import account_endpoint, origin_of, refused
from gateway.edge.own import Call, Endpoint
from gateway.model import Refusal
from gateway.web import Answer, json_answer


def mfa_endpoints(factor: OwnFactor) -> list[Endpoint]:
    """Return the endpoints of the second factor."""

    async def enrol(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = EnrolBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        begun = await factor.enrol(
            call.principal, password=body.password, rules=rules, origin=origin_of(call)
        )
        if isinstance(begun, AccountRefusal):
            return refused(call, begun)
        return json_answer(200, {"secret": begun.secret, "otpauth_uri": begun.otpauth_uri})

    async def confirm(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = OtpBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        codes = await factor.confirm(call.principal, otp=body.otp, rules=rules, origin=origin_of(call))
        return _codes(call, codes)

    async def verify(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = OtpBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        done = await factor.verify(call.principal, otp=body.otp, rules=rules, origin=origin_of(call))
        return refused(call, done) if isinstance(done, AccountRefusal) else Answer(status=204)

    async def renew(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = OtpBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        codes = await factor.renew_codes(call.principal, otp=body.otp, rules=rules, origin=origin_of(call))
        return _codes(call, codes)

    async def remove(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = RemoveFactorBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return refused(call, body)
        done = await factor.remove(
            call.principal, password=body.password, otp=body.otp, rules=rules, origin=origin_of(call)
        )
        return refused(call, done) if isinstance(done, AccountRefusal) else Answer(status=204)

    return [
        account_endpoint("POST", "mfa/totp", enrol, "Begin with an authenticator app.", needs_principal=True),
        account_endpoint(
            "POST", "mfa/totp/confirm", confirm, "Show the app's first code.", needs_principal=True
        ),
        account_endpoint(
            "POST",
            "mfa/totp/verify",
            verify,
            "Prove the second factor in this session.",
            needs_principal=True,
        ),
        account_endpoint(
            "DELETE",
            "mfa/totp",
            remove,
            "Remove the second factor.",
            name="mfa.totp.remove",
            needs_principal=True,
            takes_body=True,
        ),
        account_endpoint(
            "POST", "mfa/recovery-codes", renew, "Get other recovery codes.", needs_principal=True
        ),
    ]


def _codes(call: Call, codes: RecoveryCodes | AccountRefusal) -> Answer | Refusal:
    if isinstance(codes, AccountRefusal):
        return refused(call, codes)
    return json_answer(200, {"recovery_codes": codes.codes})
