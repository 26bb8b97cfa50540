"""One transaction, as the use cases see it."""

from __future__ import annotations

from outrider.adapters.sql.accounts import SqlAccounts
from outrider.adapters.sql.cancellations import SqlCancellations
from outrider.adapters.sql.catalogue import SqlCatalogueEntries
from outrider.adapters.sql.columns import Connection
from outrider.adapters.sql.deliveries import SqlDeliveries
from outrider.adapters.sql.delivery_counts import SqlDeliveryCounts
from outrider.adapters.sql.events import SqlEvents
from outrider.adapters.sql.executions import SqlExecutions
from outrider.adapters.sql.forgetting import SqlForgetting
from outrider.adapters.sql.instances import SqlInstances
from outrider.adapters.sql.leases import SqlLeases
from outrider.adapters.sql.policies import SqlTargetPolicies
from outrider.adapters.sql.public_keys import SqlPublicKeys
from outrider.adapters.sql.replays import SqlReplays
from outrider.adapters.sql.secrets import Secrets
from outrider.adapters.sql.targets import SqlTargets
from outrider.adapters.sql.tokens import SqlTokens
from outrider.adapters.sql.web_keys import SqlWebKeys


class SqlUnit:
    """`ports.Unit` on one connection. Beginning and committing are the store's business."""

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
        self.replays = SqlReplays(connection)
        self.cancellations = SqlCancellations(connection)
        self.delivery_counts = SqlDeliveryCounts(connection)
        self.forgetting = SqlForgetting(connection)
        self.leases = SqlLeases(connection)
        self.catalogue = SqlCatalogueEntries(connection)

    def routing_revision(self) -> int:
        """See the port."""
        return int(self._connection.execute("SELECT value FROM routing_revision").fetchone()[0])
