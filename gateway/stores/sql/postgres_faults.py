"""What PostgreSQL and its driver say when something fails, without the values that they quote."""

from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import PrimaryKeyConstraint, UniqueConstraint

from gateway.ports import StoreUnavailable
from gateway.stores.sql.faults import DatabaseUnusable, UniqueViolation
from gateway.stores.sql.tables import metadata

DRIVER_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Everything of its own that the driver raises."""

_UNUSABLE: Final = (
    asyncpg.ClientConfigurationError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedObjectError,
    asyncpg.CantChangeRuntimeParamError,
    asyncpg.InvalidParameterValueError,
)
"""What is said of a connection that can never be made."""
_NOT_ALLOWED: Final = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError)
"""A schema that a role may not use is none to it."""


def explained(place: str, error: DBAPIError) -> UniqueViolation | StoreUnavailable:
    """Return what the error of a statement means."""
    cause = error.driver_exception
    if isinstance(cause, asyncpg.UniqueViolationError):
        columns = _columns_of(cause.constraint_name)
        if columns is not None:
            return UniqueViolation(columns)
    if isinstance(cause, asyncpg.DataError):
        return StoreUnavailable(f"{place}: a value does not fit its column")
    said = _line(error.orig if cause is None else cause)
    if isinstance(cause, _NOT_ALLOWED):
        return DatabaseUnusable(
            f"{place}: {said}: the gateway's role must be allowed to create tables in its schema, "
            "and to read and write them; or the role that owns them runs gateway migrate --grant ROLE"
        )
    return StoreUnavailable(f"{place}: {said}")


def unconnected(place: str, error: Exception) -> StoreUnavailable:
    """Return why no connection could be made, for what the driver raised."""
    match error:
        case TimeoutError():
            return StoreUnavailable(f"{place}: cannot connect: no answer")
        case OSError():
            return StoreUnavailable(f"{place}: cannot connect: {error.strerror or error}")
        case error if isinstance(error, DRIVER_ERRORS):
            kind = DatabaseUnusable if isinstance(error, _UNUSABLE) else StoreUnavailable
            return kind(f"{place}: cannot connect: {_line(error)}")
        case _:
            return DatabaseUnusable(f"{place}: cannot connect: a parameter of the URL makes no sense")


def _line(error: BaseException | None) -> str:
    """Return a message in one line. What PostgreSQL adds to it as a detail quotes values."""
    return " ".join(str(error.args[0] if error is not None and error.args else error).split())


def _columns_of(constraint: str) -> frozenset[str] | None:
    for table in metadata.tables.values():
        for known in table.constraints:
            if isinstance(known, PrimaryKeyConstraint | UniqueConstraint) and known.name == constraint:
                return frozenset(f"{table.name}.{column.name}" for column in known.columns)
    return None
