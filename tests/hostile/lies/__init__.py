"""What upstreams may get wrong, or send on purpose: a lie is never passed on as the truth.

Behind each lie the client asks the same upstream for an honest answer, which no lie may take the place of.
"""

from hostile.lies import bodies, heads, oddities

LIES = [*heads.LIES, *bodies.LIES, *oddities.LIES]
