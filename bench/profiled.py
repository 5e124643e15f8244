"""`gateway serve` under cProfile, from the moment it is ready: the start would only hide the rest.

`python -m bench.profiled FILE` writes the profile there when it ends.
"""

import cProfile
import os
import sys

from gateway.cli.serve import serve
from gateway.settings import load_settings


def main() -> int:
    """Serve until a signal, then write the profile."""
    profile = cProfile.Profile()
    code = serve(load_settings(os.environ), on_ready=profile.enable)
    profile.disable()
    profile.dump_stats(sys.argv[1])
    return code


if __name__ == "__main__":
    sys.exit(main())
