"""From the listener's hands into a tunnel's: a client's connection that has been told 101."""

from gateway.edge.connection import Connection
from gateway.proxy import ClientLeft, Switched


def take_over(connection: Connection) -> Switched:
    """Return a connection whose request, which `websocket_flaw` let through, has been answered with 101.

    The tunnel puts itself in the place of the transport's protocol, and passes on `connection_lost` alone:
    the listener counts the connection until its end. When the client leaves, the task that answers is not
    cancelled; the tunnel ends by itself, and says how. Raises `ClientLeft`.
    """
    transport = connection.transport
    if transport is None:
        raise ClientLeft
    return Switched(transport, connection.let_go(), is_slow=connection.writing_paused)
