"""Every way a request can be refused or fail, and the one table from reason to status and title.

The values are the problem slugs of the public contract (RFC 9457 `type` = `urn:gateway:problem:SLUG`).
No other file chooses a status code for a problem.
"""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why the answer is no. `OK` is the reason of a permit in the audit record."""

    OK = "ok"
    MALFORMED_REQUEST = "malformed-request"
    AMBIGUOUS_PATH = "ambiguous-path"
    CREDENTIALS_CONFLICTING = "credentials-conflicting"
    INVALID_REQUEST = "invalid-request"
    DECRYPTION_FAILED = "decryption-failed"
    CREDENTIALS_MISSING = "credentials-missing"
    CREDENTIALS_INVALID = "credentials-invalid"
    MFA_REQUIRED = "mfa-required"
    INSUFFICIENT_SCOPE = "insufficient-scope"
    DENIED = "denied"
    CONDITION_NOT_MET = "condition-not-met"
    ADDRESS_BLOCKED = "address-blocked"
    EMAIL_UNVERIFIED = "email-unverified"
    NO_ROUTE = "no-route"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    REQUEST_TIMEOUT = "request-timeout"
    CONFLICT = "conflict"
    BODY_TOO_LARGE = "body-too-large"
    URI_TOO_LONG = "uri-too-long"
    HEADERS_TOO_LARGE = "headers-too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    EXPECTATION_FAILED = "expectation-failed"
    UPGRADE_REQUIRED = "upgrade-required"
    RATE_EXCEEDED = "rate-exceeded"
    INTERNAL = "internal"
    NOT_IMPLEMENTED = "not-implemented"
    HTTP_VERSION = "http-version"
    UPSTREAM_UNREACHABLE = "upstream-unreachable"
    UPSTREAM_PROTOCOL_ERROR = "upstream-protocol-error"
    RESPONSE_NOT_ENCRYPTABLE = "response-not-encryptable"
    UPSTREAM_TIMEOUT = "upstream-timeout"
    NO_HEALTHY_UPSTREAM = "no-healthy-upstream"
    OVERLOADED = "overloaded"
    DEPENDENCY_UNAVAILABLE = "dependency-unavailable"
    AUDIT_UNAVAILABLE = "audit-unavailable"
    DRAINING = "draining"


STATUS_AND_TITLE: Mapping[Reason, tuple[int, str]] = {
    Reason.OK: (200, "OK"),
    Reason.MALFORMED_REQUEST: (400, "The request is malformed"),
    Reason.AMBIGUOUS_PATH: (400, "The path can be read in more than one way"),
    Reason.CREDENTIALS_CONFLICTING: (400, "The credentials contradict each other"),
    Reason.INVALID_REQUEST: (400, "The request body is not valid"),
    Reason.DECRYPTION_FAILED: (400, "What was sent cannot be decrypted"),
    Reason.CREDENTIALS_MISSING: (401, "Credentials are required"),
    Reason.CREDENTIALS_INVALID: (401, "The credentials are not valid"),
    Reason.MFA_REQUIRED: (401, "A second factor is required"),
    Reason.INSUFFICIENT_SCOPE: (403, "The credentials do not reach this far"),
    Reason.DENIED: (403, "A rule denies this request"),
    Reason.CONDITION_NOT_MET: (403, "A condition of this route is not met"),
    Reason.ADDRESS_BLOCKED: (403, "This address is blocked for now"),
    Reason.EMAIL_UNVERIFIED: (403, "The e-mail address is not confirmed yet"),
    Reason.NO_ROUTE: (404, "No route matches this request"),
    Reason.NOT_FOUND: (404, "Not found"),
    Reason.METHOD_NOT_ALLOWED: (405, "The method is not allowed here"),
    Reason.REQUEST_TIMEOUT: (408, "The request took too long to arrive"),
    Reason.CONFLICT: (409, "The request conflicts with what exists"),
    Reason.BODY_TOO_LARGE: (413, "The request body is too large"),
    Reason.URI_TOO_LONG: (414, "The request target is too long"),
    Reason.UNSUPPORTED_MEDIA_TYPE: (415, "The media type is not supported"),
    Reason.EXPECTATION_FAILED: (417, "The expectation cannot be met"),
    Reason.UPGRADE_REQUIRED: (426, "The protocol cannot be switched here"),
    Reason.RATE_EXCEEDED: (429, "Too many requests"),
    Reason.HEADERS_TOO_LARGE: (431, "The header fields are too large"),
    Reason.INTERNAL: (500, "The gateway failed"),
    Reason.NOT_IMPLEMENTED: (501, "Not implemented"),
    Reason.UPSTREAM_UNREACHABLE: (502, "The service cannot be reached"),
    Reason.UPSTREAM_PROTOCOL_ERROR: (502, "The service broke the protocol"),
    Reason.RESPONSE_NOT_ENCRYPTABLE: (502, "The response cannot be encrypted"),
    Reason.NO_HEALTHY_UPSTREAM: (503, "No instance of the service is healthy"),
    Reason.OVERLOADED: (503, "Overloaded"),
    Reason.DEPENDENCY_UNAVAILABLE: (503, "Temporarily unavailable"),
    Reason.AUDIT_UNAVAILABLE: (503, "The audit trail cannot record"),
    Reason.DRAINING: (503, "Shutting down"),
    Reason.UPSTREAM_TIMEOUT: (504, "The service did not answer in time"),
    Reason.HTTP_VERSION: (505, "The HTTP version is not supported"),
}


def status_of(reason: Reason) -> int:
    """Return the HTTP status that a reason is answered with."""
    return STATUS_AND_TITLE[reason][0]
