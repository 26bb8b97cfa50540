-- compatible with: 10

-- Policies that were set before there were lanes: their limits and their order hold from now on.
-- Lanes that agree with their policies already stay as they are.
INSERT INTO lanes (instance_id, target_id, is_paused, max_concurrency, rate_per_second, is_ordered,
    parks, breaker_failures, breaker_open_for, failures, tokens, tokens_at, ramp, ready_at,
    lining_up_after)
    SELECT instance_id, target_id, 0, max_concurrency, rate_per_second, is_ordered,
        is_ordered AND on_dead = 2, breaker_failures, breaker_open_for, 0,
        max(1.0, rate_per_second * 0.2), changed_at, 0,
        -- What waits already is still to be lined up: that is work, and whoever claims does it.
        CASE WHEN is_ordered THEN 0 END, CASE WHEN is_ordered THEN 0 END
    FROM (
        SELECT instance_id, target_id, changed_at,
            json_extract(plain, '$.max_concurrency') AS max_concurrency,
            json_extract(plain, '$.rate_per_second') AS rate_per_second,
            json_extract(plain, '$.ordering') = 2 AS is_ordered,
            json_extract(plain, '$.on_dead') AS on_dead,
            json_extract(plain, '$.breaker[0]') AS breaker_failures,
            json_extract(plain, '$.breaker[1]') AS breaker_open_for
        FROM target_policies
    )
    WHERE max_concurrency OR rate_per_second OR is_ordered OR breaker_failures
    ON CONFLICT (instance_id, target_id) DO UPDATE SET
        max_concurrency = excluded.max_concurrency,
        rate_per_second = excluded.rate_per_second,
        is_ordered = excluded.is_ordered,
        parks = excluded.parks,
        breaker_failures = excluded.breaker_failures,
        breaker_open_for = excluded.breaker_open_for,
        tokens = excluded.tokens,
        tokens_at = excluded.tokens_at,
        ready_at = coalesce(excluded.ready_at, ready_at),
        lining_up_after = excluded.lining_up_after
    -- Before there were lanes nothing had limits or an order: so this one was made without them.
    WHERE max_concurrency = 0 AND rate_per_second = 0 AND is_ordered = 0 AND breaker_failures = 0;
