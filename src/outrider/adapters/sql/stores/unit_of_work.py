"""One transaction, as the use cases see it."""

from __future__ import annotations

from outrider.adapters.sql.access.accounts import SqlAccounts
from outrider.adapters.sql.access.instances import SqlInstances
from outrider.adapters.sql.access.tokens import SqlTokens
from outrider.adapters.sql.access.web_keys import SqlWebKeys
from outrider.adapters.sql.delivery.cancellations import SqlCancellations
from outrider.adapters.sql.delivery.deliveries import SqlDeliveries
from outrider.adapters.sql.delivery.events import SqlEvents
from outrider.adapters.sql.delivery.leases import SqlLeases
from outrider.adapters.sql.delivery.log_scan import SqlLogScans
from outrider.adapters.sql.delivery.replays import SqlReplays
from outrider.adapters.sql.delivery.retention import SqlRetention
from outrider.adapters.sql.delivery.stats import SqlDeliveryCounts
from outrider.adapters.sql.schema.connection import Connection, Secrets
from outrider.adapters.sql.targets.catalogue import SqlCatalogueEntries
from outrider.adapters.sql.targets.executions import SqlExecutions
from outrider.adapters.sql.targets.policies import SqlTargetPolicies
from outrider.adapters.sql.targets.public_keys import SqlPublicKeys
from outrider.adapters.sql.targets.targets import SqlTargets


class SqlUnit:
    """`ports.store.Unit` on one connection. The store begins and commits the transaction."""

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection = connection
        self.instances = SqlInstances(connection)
        self.targets = SqlTargets(connection, secrets)
        self.public_keys = SqlPublicKeys(connection)
        self.policies = SqlTargetPolicies(connection, secrets)
        self.executions = SqlExecutions(connection)
        self.tokens = SqlTokens(connection)
        self.accounts = SqlAccounts(connection)
        self.web_keys = SqlWebKeys(connection, secrets)
        self.events = SqlEvents(connection)
        self.deliveries = SqlDeliveries(connection)
        self.log_scans = SqlLogScans(connection)
        self.replays = SqlReplays(connection)
        self.cancellations = SqlCancellations(connection)
        self.delivery_counts = SqlDeliveryCounts(connection)
        self.retention = SqlRetention(connection)
        self.leases = SqlLeases(connection)
        self.catalogue = SqlCatalogueEntries(connection)

    def routing_revision(self) -> int:
        return int(self._connection.execute("SELECT value FROM routing_revision").fetchone()[0])
