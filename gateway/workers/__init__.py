"""Several processes as one gateway: started, watched, given connections, drained together."""

from gateway.workers.arrivals import Arrivals
from gateway.workers.cores import usable_cores
from gateway.workers.desk import Desk
from gateway.workers.doorstep import let_nobody_begin, waiting_at
from gateway.workers.lines import Inbox
from gateway.workers.reporter import Reporter, Standing, tell_refusal, tell_waiting
from gateway.workers.roll import Roll
from gateway.workers.supervisor import Post, Supervisor, WorkerRefused

__all__ = [
    "Arrivals",
    "Desk",
    "Inbox",
    "Post",
    "Reporter",
    "Roll",
    "Standing",
    "Supervisor",
    "WorkerRefused",
    "let_nobody_begin",
    "tell_refusal",
    "tell_waiting",
    "usable_cores",
    "waiting_at",
]
