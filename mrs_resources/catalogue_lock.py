"""The lock that lets one process at a time write to a lake: an advisory lock of the catalogue's PostgreSQL.

Waiters are served in the order in which they came. The lock ends with the connection that took it: when its holder
dies the server notices at once, and within a quarter of a minute where a machine or a network dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2

from mrs_resources.writer_lock import not_twice

_NOTICED = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3"
_LEAVES_THE_QUEUE = "-c client_connection_check_interval=1s"
"""A waiter that died is not given its turn."""


@contextmanager
def catalogue_lock(address: str, name: str) -> Iterator[None]:
    """Hold the lock of a name; wait for it as long as it takes.

    Args:
        address: connection string of the database.
        name: what is locked.

    Raises:
        ContractBroken: this thread holds the lock already, which would wait for ever.
        psycopg2.OperationalError: the database cannot be reached, or went away while this waited.
    """
    with not_twice(name), closing(psycopg2.connect(address, options=f"{_NOTICED} {_LEAVES_THE_QUEUE}")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        yield
