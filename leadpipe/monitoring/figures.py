"""The figures that Prometheus is given from the ledger, each one query, as data.

What lives here: names, meanings, labels and SQL. What does not: durations that are measured event by event
(``latencies``), reading and caching (``collector``). ``docs/operations.md`` has the same table; a test compares.

Every query is answered from an index and counts what is open or recent, never all history. Labels are words of a fixed
set (states, channels, providers, services), so no contact detail and no id of a person can come into one.
"""

from __future__ import annotations

from dataclasses import dataclass

RECENT_MINUTES = 5


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One gauge.

    Attributes:
        sql: gives one row per label values, the labels in their order and then the value. It may use ``:now`` (the
            ledger's clock), ``:wall`` (the machine's), ``:recent`` (``RECENT_MINUTES`` before now), ``:day_before``,
            ``:by_person`` (``revocations.BY_PERSON``), ``:slack``, ``:all_slots`` and ``:kept_slots``
            (``store.rate_window``).
        requires: a table that another program makes; without it there is no such figure.
    """

    name: str
    meaning: str
    sql: str
    labels: tuple[str, ...] = ()
    requires: str = ""


FIGURES = (
    Figure(
        name="leadpipe_messages",
        meaning="Messages that are not over, by state and channel.",
        labels=("state", "channel"),
        sql="""
        select state, channel, count(*) from ledger.messages where state in ('queued', 'held') group by 1, 2
        union all
        select state, channel, count(*) from ledger.messages
        where state in ('sending', 'unknown', 'parked', 'review') group by 1, 2
        """,
    ),
    Figure(
        name="leadpipe_message_age_seconds",
        meaning="Age of the oldest: due (its time has come and nobody claimed it), or in this state since; 0: none.",
        labels=("state",),
        sql="""
        select 'due', coalesce(extract(epoch from :now - min(coalesce(not_before_at, due_at))), 0)
        from ledger.messages where state in ('queued', 'held') and coalesce(not_before_at, due_at) <= :now
        union all
        select s.state, coalesce(extract(epoch from :now - min(m.changed_at)), 0)
        from unnest(array['sending', 'unknown', 'parked', 'review']) s(state)
        left join ledger.messages m
          on m.state = s.state and m.state in ('sending', 'unknown', 'parked', 'review')
        group by s.state
        """,
    ),
    Figure(
        name="leadpipe_inbox_waiting",
        meaning="Notifications stored and not yet dealt with, by source.",
        labels=("source",),
        sql="select source, count(*) from ledger.inbox where state = 'new' group by source",
    ),
    Figure(
        name="leadpipe_inbox_age_seconds",
        meaning="Age of the oldest notification that is not dealt with; 0: none.",
        sql="select coalesce(extract(epoch from :now - min(received_at)), 0) from ledger.inbox where state = 'new'",
    ),
    Figure(
        name="leadpipe_inbox_kept_aside",
        meaning="Notifications nobody could process; `leadpipe inbox list` shows them.",
        labels=("source",),
        sql="select source, count(*) from ledger.inbox where state = 'kept_aside' group by source",
    ),
    Figure(
        name="leadpipe_new_leads_unanswered",
        meaning="People who came within a day, after go-live, for whom nothing was decided yet.",
        sql="""
        select count(*) from ledger.people, ledger.controls c
        where c.key = 'go_live' and outcome is null and deleted_at is null
          and crm_created_at > :now - interval '1 day' and crm_created_at >= (c.value ->> 'at')::timestamptz
        """,
    ),
    Figure(
        name="leadpipe_replies_unread",
        meaning="Messages of leads that nobody has read; everything to their sender waits for it.",
        sql="select count(*) from ledger.inbound_messages where read_at is null",
    ),
    Figure(
        name="leadpipe_refusal_seconds_slowest",
        meaning="Of the refusals of the last day: the longest from the person's own moment to its effect; 0: none.",
        sql="""
        select coalesce(max(extract(epoch from s.recorded_at - s.at)), 0)
        from ledger.suppressions s join ledger.contact_points c on c.id = s.contact_point_id
        where s.recorded_at > :day_before and s.action = 'suppress' and s.source = any(:by_person)
          and s.at >= c.created_at and s.at >= coalesce(
            (select (value ->> 'at')::timestamptz from ledger.controls where key = 'go_live'), '-infinity')
        """,
    ),
    Figure(
        name="leadpipe_replies_unread_age_seconds",
        meaning="Age of the oldest message of a lead that nobody has read and that may be a refusal; 0: none.",
        sql="""
        select coalesce(extract(epoch from :now - min(received_at)), 0) from ledger.inbound_messages
        where read_at is null and not is_auto_reply
        """,
    ),
    Figure(
        name="leadpipe_email_paused",
        meaning="Plans and sending domains whose marketing email rests because too much of it came back.",
        labels=("kind",),
        sql="""
        select k.kind, count(r.key)::int from unnest(array['plan', 'domain']) k(kind)
        left join (
          select r.key from ledger.controls c, jsonb_each(c.value) r
          where c.key = 'email_rates' and r.value ->> 'level' in ('stop', 'hard')
        ) r on starts_with(r.key, k.kind || ':')
        group by k.kind
        """,
    ),
    Figure(
        name="leadpipe_provider_calls",
        meaning=f"Calls to providers begun within {RECENT_MINUTES} minutes, by what came of them.",
        labels=("provider", "outcome"),
        sql="""
        select provider, coalesce(outcome, 'under_way'), count(*) from ledger.attempts
        where started_at > :recent group by 1, 2
        """,
    ),
    Figure(
        name="leadpipe_provider_error_ratio",
        meaning=f"Of the calls ended within {RECENT_MINUTES} minutes, the share without a clear answer (unknown, "
        "not_sent); a refusal of one message is an answer.",
        labels=("provider",),
        sql="""
        select provider,
          count(*) filter (where outcome = 'unknown'
            or (outcome = 'not_sent' and code is distinct from 'overtaken'))::float / count(*)
        from ledger.attempts where started_at > :recent and outcome is not null group by provider
        """,
    ),
    Figure(
        name="leadpipe_provider_rests_seconds",
        meaning="How long the circuit of a provider that failed stays open; 0: it is closed.",
        labels=("provider",),
        # As `messaging.breaker` writes it, by the machine's clock.
        sql="""
        select substr(key, 9),
          greatest(0, (value ->> 'open_until')::float8 - extract(epoch from cast(:wall as timestamptz)))
        from ledger.controls where key like 'breaker:%'
        """,
    ),
    Figure(
        name="leadpipe_rate_budget_left",
        meaning="Calls that may still leave within the provider's window, by context of its limits; 0 while it blocks.",
        labels=("provider", "context"),
        # The slots that `store.rate_window` still counts now, without its lock: a scrape makes no caller wait.
        sql="""
        select b.provider, b.context, case when b.blocked_until_at > :wall then 0 else greatest(0, b.limit_calls - (
          select coalesce(sum(made.calls), 0)
          from unnest(b.slot_counts) with ordinality made(calls, nth)
          where b.newest_slot - cardinality(b.slot_counts) + made.nth + :kept_slots
            > floor(extract(epoch from cast(:wall as timestamptz)) * :all_slots / b.window_seconds)
        )) end
        from ledger.rate_budgets b where b.limit_calls is not null
        """,
    ),
    Figure(
        name="leadpipe_rate_blocked_seconds",
        meaning="How long a provider that answered 429 still lets nothing through; 0: it does not.",
        labels=("provider",),
        sql="""
        select provider, greatest(0, coalesce(extract(epoch from max(blocked_until_at) - :wall), 0))
        from ledger.rate_budgets group by provider
        """,
    ),
    Figure(
        name="leadpipe_writebacks_waiting",
        meaning="Writes to the CRM that are journalled and not done.",
        sql="select count(*) from ledger.writebacks where state in ('pending', 'sending')",
    ),
    Figure(
        name="leadpipe_writeback_age_seconds",
        meaning="Age of the oldest write to the CRM that is not done; 0: none.",
        sql="""
        select coalesce(extract(epoch from :now - min(created_at)), 0)
        from ledger.writebacks where state in ('pending', 'sending')
        """,
    ),
    Figure(
        name="leadpipe_alerts_undelivered",
        meaning="Alerts that nobody has got yet.",
        sql="select count(*) from ledger.alerts where sent_at is null",
    ),
    Figure(
        name="leadpipe_sending_stopped",
        meaning="1 while somebody has stopped all sending.",
        sql="""
        select coalesce(bool_or((value ->> 'is_stopped')::boolean), false)::int
        from ledger.controls where key = 'sending'
        """,
    ),
    Figure(
        name="leadpipe_service_up",
        meaning="1 while any process of the service gives signs of life; no row once it said that it stops.",
        labels=("service",),
        sql="""
        with recursive services as (
          select min(service) as service from ledger.heartbeats
          union all
          select (select min(h.service) from ledger.heartbeats h where h.service > s.service)
          from services s where s.service is not null
        )
        select s.service, (last.beat_at > :wall - cast(:slack as interval))::int
        from services s, lateral (
          select state, beat_at from ledger.heartbeats h where h.service = s.service
          order by beat_at desc limit 1
        ) last
        where last.state = 'up'
        """,
    ),
    Figure(
        name="leadpipe_heartbeat_age_seconds",
        meaning="Since when a process has given no sign of life; processes of the last hour that did not say goodbye.",
        labels=("service", "instance"),
        sql="""
        select service, instance, extract(epoch from :wall - beat_at) from (
          select distinct on (service, instance) * from ledger.heartbeats where beat_at > :wall - interval '1 hour'
          order by service, instance, beat_at desc, id desc
        ) last where state = 'up'
        """,
    ),
    Figure(
        name="leadpipe_process_resident_bytes",
        meaning="Memory of each process that gives signs of life.",
        labels=("service", "instance"),
        sql="""
        select service, instance, (detail ->> 'rss_bytes')::float from (
          select distinct on (service, instance) * from ledger.heartbeats
          where beat_at > :wall - cast(:slack as interval) order by service, instance, beat_at desc, id desc
        ) last where state = 'up' and detail ? 'rss_bytes'
        """,
    ),
    Figure(
        name="leadpipe_daemon_heartbeat_age_seconds",
        meaning="Since when each daemon of Dagster has given no sign of life, by Dagster's own record.",
        labels=("daemon",),
        sql="""
        select lower(daemon_type), extract(epoch from cast(:wall as timestamptz) at time zone 'UTC' - "timestamp")
        from dagster.daemon_heartbeats
        """,
        requires="dagster.daemon_heartbeats",
    ),
    Figure(
        name="leadpipe_read_age_seconds",
        meaning="Since when a list of the CRM or of a sender was last read to its end, by step of the poll.",
        labels=("step",),
        sql="""
        select substr(source, 6), extract(epoch from :now - changed_at) from ledger.watermarks
        where source like 'poll:%'
        """,
    ),
    Figure(
        name="leadpipe_mirror_age_seconds",
        meaning="Since when the lake has had nothing new of the ledger.",
        sql="select extract(epoch from :now - changed_at) from ledger.watermarks where source = 'mirror'",
    ),
    Figure(
        name="leadpipe_kpi",
        meaning="Value of each row of marts.kpis, as last judged.",
        labels=("kpi",),
        sql="""
        select k.key, (k.value ->> 'value')::float from ledger.controls c, jsonb_each(c.value) k
        where c.key = 'kpis' and k.value ->> 'value' is not null
        """,
    ),
    Figure(
        name="leadpipe_kpi_met",
        meaning="1 where the target is met, 0 where it is not; no row where too little happened to say.",
        labels=("kpi",),
        sql="""
        select k.key, (k.value ->> 'is_met')::boolean::int from ledger.controls c, jsonb_each(c.value) k
        where c.key = 'kpis' and k.value ->> 'is_met' is not null
        """,
    ),
)
