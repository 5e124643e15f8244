"""When what fails is left alone: health checks, outliers, the circuit breaker."""

from typing import ClassVar

from pydantic import Field

from gateway.config.documents.base import Document
from gateway.config.documents.fields import Duration, Percent, RequestTarget


class HealthDocument(Document):
    """Whether a target is asked how it is."""

    noun: ClassVar[str] = "the health check"

    path: RequestTarget = Field(
        description="What is asked for, with GET; good is a status from 200 to 399.", examples=["/healthz"]
    )
    interval: Duration = Field(default=5.0, description="How often. Default 5s.")
    timeout: Duration = Field(default=1.0, description="How long an answer may take. Default 1s.")
    healthy_after: int = Field(
        default=2, ge=1, le=100, description="So many good answers in a row make it healthy. Default 2."
    )
    unhealthy_after: int = Field(
        default=3, ge=1, le=100, description="So many bad ones in a row make it unhealthy. Default 3."
    )


class OutlierDocument(Document):
    """When a target that fails is left out for a while."""

    noun: ClassVar[str] = "the outlier rules"

    consecutive_errors: int = Field(
        default=5,
        ge=1,
        le=1_000_000,
        description="After so many errors in a row: no answer, or a status from 500 on. Default 5.",
    )
    eject_for: Duration = Field(
        default=30.0,
        description="For so long, and by so much longer each time in a row, up to 5min. Default 30s.",
    )
    max_ejected: Percent = Field(default=0.5, description="At most this share of the targets. Default 50%.")


class OpenAfterDocument(Document):
    """When the circuit opens."""

    noun: ClassVar[str] = "the circuit's threshold"

    errors: Percent = Field(description="At this share of errors", examples=["50%"])
    within: Duration = Field(description="within this time,", examples=["10s"])
    at_least: int = Field(
        default=20, ge=1, le=1_000_000, description="counting at least so many requests. Default 20."
    )


class CircuitDocument(Document):
    """When an upstream is left alone."""

    noun: ClassVar[str] = "the circuit breaker"

    max_concurrent: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Requests at the same time; left out, any number."
    )
    open_after: OpenAfterDocument | None = Field(default=None, description="When it opens.")
    probe_every: Duration = Field(
        default=1.0, description="How often an open one lets a request through. Default 1s."
    )
