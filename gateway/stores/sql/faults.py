"""The border: no exception of SQLAlchemy or of a driver passes it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.ports import StoreUnavailable


class DatabaseUnusable(StoreUnavailable):
    """The database cannot be used as it is: waiting does not help, an operator has to act."""


class UniqueViolation(Exception):
    """A row with this value exists already. Adapters turn it into `Taken`; it never passes a port."""

    def __init__(self, columns: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(columns)))
        self.columns = columns
        """`table.column` of the violated constraint."""


Explain = Callable[[DBAPIError], UniqueViolation | StoreUnavailable]
"""What one kind of database means by an error of its driver."""


@contextmanager
def translated(place: str, explain: Explain) -> Iterator[None]:
    """Turn errors of the driver into `UniqueViolation` or `StoreUnavailable`; `place` names the database.

    Only the driver's own message is passed on: SQLAlchemy's would quote the statement.
    """
    try:
        yield
    except DBAPIError as error:
        raise explain(error) from None
    except PoolTimeout:
        raise StoreUnavailable(f"{place}: all connections of this process are busy") from None
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"{place}: {type(error).__name__}") from error
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{place}: {error}") from None
