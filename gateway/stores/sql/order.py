"""The one order in which rows are locked that more than one of those who are at work may want."""

from sqlalchemy import Column, ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection


async def lock_in_order(
    connection: AsyncConnection, id_column: Column[str], condition: ColumnElement[bool]
) -> None:
    """Lock the rows that meet a condition, one after the other by their ids.

    A statement that changes several rows locks them as it finds them. Two of them that want some of the same
    rows, each in an order of its own, would wait for each other: sessions end with their user and with their
    client, and keys end with their owner while it is noted that they were used.
    """
    await connection.execute(select(id_column).where(condition).order_by(id_column).with_for_update())
