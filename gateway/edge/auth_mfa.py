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
from gateway.edge.accounts import Outcome, body_endpoint, done_answer, origin_of
from gateway.edge.own import Call, Endpoint
from gateway.web import json_answer


def mfa_endpoints(factor: OwnFactor) -> list[Endpoint]:
    """Return the endpoints of the second factor."""

    async def enrol(call: Call, rules: AccountRules, body: EnrolBody) -> Outcome:
        begun = await factor.enrol(
            call.principal, password=body.password, rules=rules, origin=origin_of(call)
        )
        if isinstance(begun, AccountRefusal):
            return begun
        return json_answer(200, {"secret": begun.secret, "otpauth_uri": begun.otpauth_uri})

    async def confirm(call: Call, rules: AccountRules, body: OtpBody) -> Outcome:
        codes = await factor.confirm(call.principal, otp=body.otp, rules=rules, origin=origin_of(call))
        return _codes(codes)

    async def verify(call: Call, rules: AccountRules, body: OtpBody) -> Outcome:
        done = await factor.verify(call.principal, otp=body.otp, rules=rules, origin=origin_of(call))
        return done_answer(done)

    async def renew(call: Call, rules: AccountRules, body: OtpBody) -> Outcome:
        codes = await factor.renew_codes(call.principal, otp=body.otp, rules=rules, origin=origin_of(call))
        return _codes(codes)

    async def remove(call: Call, rules: AccountRules, body: RemoveFactorBody) -> Outcome:
        done = await factor.remove(
            call.principal, password=body.password, otp=body.otp, rules=rules, origin=origin_of(call)
        )
        return done_answer(done)

    return [
        body_endpoint("mfa/totp", EnrolBody, enrol, "Begin with an authenticator app.", needs_principal=True),
        body_endpoint(
            "mfa/totp/confirm", OtpBody, confirm, "Show the app's first code.", needs_principal=True
        ),
        body_endpoint(
            "mfa/totp/verify",
            OtpBody,
            verify,
            "Prove the second factor in this session.",
            needs_principal=True,
        ),
        body_endpoint(
            "mfa/totp",
            RemoveFactorBody,
            remove,
            "Remove the second factor.",
            name="mfa.totp.remove",
            needs_principal=True,
            method="DELETE",
        ),
        body_endpoint(
            "mfa/recovery-codes", OtpBody, renew, "Get other recovery codes.", needs_principal=True
        ),
    ]


def _codes(codes: RecoveryCodes | AccountRefusal) -> Outcome:
    if isinstance(codes, AccountRefusal):
        return codes
    return json_answer(200, {"recovery_codes": codes.codes})
