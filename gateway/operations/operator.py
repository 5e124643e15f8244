"""Who acts at the command line."""

import os
import pwd

from gateway.model import Principal, PrincipalKind


def operator_at_the_command_line() -> Principal:
    """Return the user of the operating system as a principal, for the audit trail.

    The name comes from the user database by the id of the process: `USER` and `LOGNAME` say what one likes.
    """
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Principal(
        id=f"uid:{uid}", kind=PrincipalKind.OPERATOR, name=name, authn="command line", authn_kind="operator"
    )
