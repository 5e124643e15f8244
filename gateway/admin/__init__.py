"""The operators' listener."""

from gateway.admin.application import operators_application

__all__ = ["operators_application"]
