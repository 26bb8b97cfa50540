-- compatible with: 10

-- Nothing: on PostgreSQL every policy was set when there were lanes.
