"""The border: no exception of SQLAlchemy or of a driver passes it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from gateway.ports import StoreUnavailable

_UNIQUE = "UNIQUE constraint failed: "


class DatabaseUnusable(StoreUnavailable):
    """The database cannot be used as it is: waiting does not help, an operator has to act."""


class UniqueViolation(Exception):
    """A row with this value exists already. Adapters turn it into `Taken`; it never passes a port."""

    def __init__(self, columns: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(columns)))
        self.columns = columns
        """`table.column` of the violated constraint."""


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn errors of the driver into `UniqueViolation` or `StoreUnavailable`; `place` names the database.

    Only the driver's own message is passed on: SQLAlchemy's would quote the statement.
    """
    try:
        yield
    except IntegrityError as error:
        columns = _unique_columns(error)
        if columns is None:
            raise StoreUnavailable(f"{place}: {error.orig}") from None
        raise UniqueViolation(columns) from None
    except DBAPIError as error:
        raise StoreUnavailable(f"{place}: {error.orig}") from None
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"{place}: {type(error).__name__}") from error
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{place}: {error}") from None


def _unique_columns(error: IntegrityError) -> frozenset[str] | None:
    text = str(error.orig)
    if not text.startswith(_UNIQUE):
        return None
    return frozenset(column.strip() for column in text.removeprefix(_UNIQUE).split(","))
