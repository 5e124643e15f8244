"""Limits as they are written: in `defaults`, roles, routes, and for the login."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gateway.config.documents.base import Document, NotYet
from gateway.config.documents.fields import LimitId, Per, RateText


class LimitDocument(Document):
    """How often something may be done. Exactly one of `limit`, `rate` and `in_flight`."""

    noun: ClassVar[str] = "a limit"

    limit: RateText | None = Field(
        default=None,
        description="Never more than N in any window of this length: `120/min`.",
        examples=["120/min"],
    )
    rate: RateText | None = Field(
        default=None,
        description="N per window, evenly spaced, with `burst` at once: `10/s`.",
        examples=["10/s"],
    )
    burst: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Only with `rate`: how many may come at once.",
        examples=[30],
    )
    in_flight: Annotated[int | None, NotYet("a limit on requests in flight")] = Field(
        default=None, ge=1, description="At most N requests at the same time."
    )
    per: Per = Field(
        description=(
            "What is counted apart: `principal`, `client_ip`, `api_key`, `username`, `route`, `all`, "
            "`claims.X`, `header.X`, or a list of these. `principal` on a public route counts by address."
        ),
        examples=["principal"],
    )
    accuracy: Annotated[Literal["exact", "leased"], NotYet("leased counting", ("leased",))] = Field(
        default="exact",
        description="`exact` asks the counters for every request; `leased` takes shares in advance.",
    )
    on_store_error: Literal["local", "open", "closed"] | None = Field(
        default=None,
        description=(
            "While the shared counters cannot be reached: `local` counts each process's share of the limit, "
            "`open` admits without counting, `closed` refuses with 503. Default `local`, for limits of the "
            "login `closed`."
        ),
        examples=["closed"],
    )
    cost: int = Field(default=1, ge=1, le=1_000_000, description="What one request uses up.", examples=[1])
    shadow: Annotated[bool, NotYet("counting without refusing", (True,))] = Field(
        default=False, description="Count and record, but never refuse."
    )
    id: LimitId | None = Field(
        default=None, description="Its name in answers and in the audit trail; default `route:orders:0`."
    )
