"""The exceptions that adapters may raise. No driver's exception passes a port."""


class StoreUnavailable(Exception):
    """A store cannot answer. The text names the store and what failed, never a secret."""


class AuditUnavailable(StoreUnavailable):
    """The audit trail cannot record, so nothing may happen."""


class Taken(Exception):
    """A name that must be unique exists already. `field` says which: `username`, `email`, `name`,
    `invite`."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is taken")
        self.field = field
