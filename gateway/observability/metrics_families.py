"""Every metric that there is: name, kind, labels, and what it tells an operator.

The reference page is written from this table. A label's value comes from the configuration, from a table of
our own code, or is the number of a process: never from a client, and never names one.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """How a metric behaves over time."""

    COUNTER = "counter"
    """Only grows while the process lives."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    """Durations, counted by how long they were."""
    INFO = "info"
    """Always 1; what it says is in its labels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """One metric, of one process or of all of them together."""

    name: str
    """As it is exposed, with `_total` or `_info`; a histogram without its suffixes."""
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    per_worker: bool = False
    """Has the label `worker` besides: a sum over processes would say nothing."""
    largest: bool = False
    """All processes together are as old, or as far behind, as the worst of them; else they are summed."""
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, in seconds; the last bucket, without a bound, is not named."""

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The names of all labels in order, `worker` first."""
        return ("worker", *self.labels) if self.per_worker else self.labels


NO_ROUTE: Final = "none"
"""The label `route` of what matched no route."""

REQUESTS: Final = Family(
    name="gateway_requests_total",
    kind=Kind.COUNTER,
    labels=("route", "decision", "reason"),
    help="Decisions, as the audit trail has them. route is `none` for a request that matched no route or "
    "could not be read, and `gateway:...` for the gateway's own endpoints; decision is allow or deny; reason "
    "is the slug of the problem, ok for a permit.",
)
RESPONSES: Final = Family(
    name="gateway_responses_total",
    kind=Kind.COUNTER,
    labels=("route", "status"),
    help="Answers to clients, by class of status: 2xx, 4xx and so on, none when the client was sent nothing.",
)
DECISION_SECONDS: Final = Family(
    name="gateway_decision_seconds",
    kind=Kind.HISTOGRAM,
    bounds=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
    help="What the gateway adds before it forwards or refuses: route, credentials, rules, limits, and the "
    "decision made durable.",
)
REQUEST_SECONDS: Final = Family(
    name="gateway_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    labels=("upstream",),
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    help="Exchanges with an upstream, from the permit to the last byte for the client.",
)
EXCHANGES: Final = Family(
    name="gateway_exchanges_total",
    kind=Kind.COUNTER,
    labels=("upstream", "outcome"),
    help="Exchanges with an upstream by how they ended: complete, client_left, upstream_failed, or cut by "
    "the gateway.",
)
REQUEST_BYTES: Final = Family(
    name="gateway_request_body_bytes_total",
    kind=Kind.COUNTER,
    labels=("upstream",),
    help="Bytes of request bodies taken from clients, without framing.",
)
RESPONSE_BYTES: Final = Family(
    name="gateway_response_body_bytes_total",
    kind=Kind.COUNTER,
    labels=("upstream",),
    help="Bytes of response bodies handed to clients, without framing.",
)
UNRECORDED: Final = Family(
    name="gateway_unrecorded_total",
    kind=Kind.COUNTER,
    labels=("what",),
    help="What has no audit record on purpose. what is connection (ended before a request), interim (a 1xx "
    "answer), operators (an answer of the operators' listener). The answer audit-unavailable is in "
    "gateway_requests_total.",
)
IN_FLIGHT: Final = Family(
    name="gateway_requests_in_flight",
    kind=Kind.GAUGE,
    help="Requests on the clients' listener that are being answered.",
)
CLIENT_CONNECTIONS: Final = Family(
    name="gateway_client_connections",
    kind=Kind.GAUGE,
    help="Open connections of clients, also those that wait for their next request.",
)
TLS_HANDSHAKES: Final = Family(
    name="gateway_tls_handshakes_total",
    kind=Kind.COUNTER,
    labels=("result",),
    help="Handshakes of TLS on the clients' listener. result is ok; unfinished (the client left, or was too "
    "slow); not_tls (plain HTTP, or noise); no_common (no version or cipher in common); certificate (the "
    "client's does not hold); distrusted (the client does not trust ours); failed.",
)
TLS_EXPIRY: Final = Family(
    name="gateway_tls_certificate_expiry_timestamp_seconds",
    kind=Kind.GAUGE,
    per_worker=True,
    help="When the certificate of the clients' listener expires, in seconds since the epoch.",
)
TLS_UNUSABLE: Final = Family(
    name="gateway_tls_files_unusable",
    kind=Kind.GAUGE,
    largest=True,
    help="1 while the certificate files of the clients' listener have changed and cannot be used: the last "
    "good ones are in force.",
)
UPSTREAM_FAULTS: Final = Family(
    name="gateway_upstream_faults_total",
    kind=Kind.COUNTER,
    labels=("upstream", "fault"),
    help="Exchanges that failed, by what failed. Faults that name the client are its own: client_left, "
    "request_body_client, response_body_client.",
)
UPSTREAM_RETRIES: Final = Family(
    name="gateway_upstream_retries_total",
    kind=Kind.COUNTER,
    labels=("upstream",),
    help="Times that a request was tried again: a target could not be connected to, or answered with a "
    "status that `retries.retry_on` names.",
)
UPSTREAM_CONNECTIONS: Final = Family(
    name="gateway_upstream_connections",
    kind=Kind.GAUGE,
    labels=("upstream", "state"),
    help="Connections to the targets of an upstream: busy (also opening and closing) or idle.",
)
UPSTREAM_WAITING: Final = Family(
    name="gateway_upstream_waiting_requests",
    kind=Kind.GAUGE,
    labels=("upstream",),
    help="Permitted requests that wait for a connection, because `pool.max_connections` are busy.",
)
UPSTREAM_TARGETS: Final = Family(
    name="gateway_upstream_target_state",
    kind=Kind.GAUGE,
    labels=("upstream", "target", "state"),
    per_worker=True,
    help="1 for the state that a target is in, 0 for the others: healthy, unhealthy (by its health checks) "
    "or ejected (exchanges failed). Each process checks and ejects by itself.",
)
UPSTREAM_EJECTIONS: Final = Family(
    name="gateway_upstream_ejections_total",
    kind=Kind.COUNTER,
    labels=("upstream", "target"),
    help="Times that a target was left out for a while because exchanges with it failed.",
)
UPSTREAM_HEALTH_CHECKS: Final = Family(
    name="gateway_upstream_health_checks_total",
    kind=Kind.COUNTER,
    labels=("upstream", "target", "result"),
    help="Health checks by what came of them: good or bad.",
)
UPSTREAM_CIRCUITS: Final = Family(
    name="gateway_upstream_circuit_state",
    kind=Kind.GAUGE,
    labels=("upstream", "state"),
    per_worker=True,
    help="1 for the state that the circuit of an upstream is in, 0 for the others: closed, open (requests "
    "are answered 503) or probing (one request is let through to see). Only upstreams with `circuit` have "
    "one.",
)
LIMIT_CHECKS: Final = Family(
    name="gateway_limit_checks_total",
    kind=Kind.COUNTER,
    labels=("source", "result"),
    help="Requests whose limits were checked. source: memory (no Redis is configured), exact (Redis "
    "answered), deny_cache (known to be exhausted, Redis was not asked), and, while Redis was away, what "
    "`on_store_error` says: local, open or closed. result: admitted or refused.",
)
LIMIT_REFUSALS: Final = Family(
    name="gateway_limit_refusals_total",
    kind=Kind.COUNTER,
    labels=("limit",),
    help="Requests refused with 429, by the limit that refused; two limits may refuse the same request.",
)
BROKEN_CONDITIONS: Final = Family(
    name="gateway_broken_conditions_total",
    kind=Kind.COUNTER,
    labels=("route",),
    help="Requests refused because a condition looked at an attribute that they do not have, or have twice.",
)
LATE_ADMISSIONS: Final = Family(
    name="gateway_limit_late_admissions_total",
    kind=Kind.COUNTER,
    help="Checks that Redis had admitted after all when this process had given up waiting for its answer: "
    "one charge more than the request was meant to cost.",
)
REDIS_UP: Final = Family(
    name="gateway_redis_up",
    kind=Kind.GAUGE,
    per_worker=True,
    help="1 while limits are counted in Redis, 0 while it cannot be used and `on_store_error` holds.",
)
REDIS_PROCESSES: Final = Family(
    name="gateway_redis_processes",
    kind=Kind.GAUGE,
    largest=True,
    help="Processes of all replicas that count in the same Redis. While it is away, the quota of a limit "
    "with `on_store_error: local` is divided among so many.",
)
AUDIT_AVAILABLE: Final = Family(
    name="gateway_audit_available",
    kind=Kind.GAUGE,
    per_worker=True,
    help="1 while decisions can be recorded. 0: every request is answered 503.",
)
AUDIT_RECORDS: Final = Family(
    name="gateway_audit_records_total",
    kind=Kind.COUNTER,
    help="Records taken by the spool: decisions, completions and events.",
)
AUDIT_FAILED: Final = Family(
    name="gateway_audit_failed_records_total",
    kind=Kind.COUNTER,
    help="Records that could not be written. What they were about was refused, or is a completion that is "
    "missing.",
)
AUDIT_SHIPPED: Final = Family(
    name="gateway_audit_shipped_records_total",
    kind=Kind.COUNTER,
    help="Records brought from the spool to the database.",
)
AUDIT_WAITING: Final = Family(
    name="gateway_audit_waiting_records",
    kind=Kind.GAUGE,
    help="Records of running processes that are in the spool and not in the database yet.",
)
AUDIT_LAG: Final = Family(
    name="gateway_audit_shipping_lag_seconds",
    kind=Kind.GAUGE,
    largest=True,
    help="Seconds since everything in the spool had last been shipped, of the process that is furthest "
    "behind. About 1 at the most when all is well.",
)
AUDIT_SPOOL_BYTES: Final = Family(
    name="gateway_audit_spool_bytes",
    kind=Kind.GAUGE,
    largest=True,
    help="Bytes that the logs of all processes take on the disk. What is shipped is removed by whole files.",
)
AUDIT_SPOOL_FILL: Final = Family(
    name="gateway_audit_spool_fill_ratio",
    kind=Kind.GAUGE,
    largest=True,
    help="Share of GATEWAY_AUDIT_SPOOL_LIMIT that the logs take. From 0.85 on completions are left out, from "
    "0.95 on requests are refused.",
)
AUDIT_SPARED: Final = Family(
    name="gateway_audit_spared_completions_total",
    kind=Kind.COUNTER,
    help="Completions that were not written down because the spool was nearly full. Each time is an event "
    "`audit.gap` in the trail.",
)
AUDIT_CHECKPOINTS: Final = Family(
    name="gateway_audit_checkpoints_total",
    kind=Kind.COUNTER,
    help="Signed checkpoints that were added to the trail. At least one a minute for the whole installation.",
)
AUDIT_LOST: Final = Family(
    name="gateway_audit_lost_records_total",
    kind=Kind.COUNTER,
    help="Records that are missing from the trail: damaged on the disk, or refused by the database and put "
    "aside in `spool/quarantine`. Each gap is an event `audit.gap` in the trail.",
)
OUTLET_SENT: Final = Family(
    name="gateway_audit_outlet_sent_total",
    kind=Kind.COUNTER,
    labels=("outlet",),
    help="Records, or signed checkpoints, that an outlet besides the database took. One process at a time "
    "serves an outlet.",
)
OUTLET_REFUSED: Final = Family(
    name="gateway_audit_outlet_refused_records_total",
    kind=Kind.COUNTER,
    labels=("outlet",),
    help="Records that an outlet does not have because it refused them. Each time is an event `audit.gap` in "
    "the trail, which has them.",
)
OUTLET_LAG: Final = Family(
    name="gateway_audit_outlet_lag_seconds",
    kind=Kind.GAUGE,
    labels=("outlet",),
    largest=True,
    help="Seconds since an outlet had last been sent everything in the database. About 1 at the most when "
    "all is well.",
)
OUTLET_FAILING: Final = Family(
    name="gateway_audit_outlet_failing",
    kind=Kind.GAUGE,
    labels=("outlet",),
    largest=True,
    help="1 while an outlet takes nothing: what it has not had waits in the database. Else 0.",
)
EVENTS: Final = Family(
    name="gateway_events_total",
    kind=Kind.COUNTER,
    labels=("action",),
    help="Events of accounts, keys and the gateway itself, by the `action` of their audit record.",
)
CHANGE_FEED_AGE: Final = Family(
    name="gateway_change_feed_age_seconds",
    kind=Kind.GAUGE,
    largest=True,
    help="Seconds since a process last heard which sessions, users and keys were revoked, of the process "
    "that has waited longest. Beyond 5, tokens and keys are answered 503.",
)
ISSUER_FETCHES: Final = Family(
    name="gateway_issuer_key_fetches_total",
    kind=Kind.COUNTER,
    labels=("authenticator", "result"),
    help="How often the keys of another issuer were fetched, and how often that failed. result is fetched or "
    "failed.",
)
ISSUER_KEYS_AGE: Final = Family(
    name="gateway_issuer_keys_age_seconds",
    kind=Kind.GAUGE,
    labels=("authenticator",),
    largest=True,
    help="Seconds since the keys of another issuer were fetched, of the process that has the oldest. Absent "
    "before the first time; until then, its tokens are answered 503.",
)
ISSUER_FAILING: Final = Family(
    name="gateway_issuer_failing",
    kind=Kind.GAUGE,
    labels=("authenticator",),
    largest=True,
    help="1 while the keys of another issuer cannot be fetched: those that are known stay in use. Else 0.",
)
GRANTS_UNKNOWN: Final = Family(
    name="gateway_grants_unknown_total",
    kind=Kind.COUNTER,
    labels=("role",),
    help="Grants of a role that were not given because their condition met something missing, once for each "
    "credential or, where the condition looks at the request, for each request.",
)
DATABASE_ERRORS: Final = Family(
    name="gateway_database_errors_total",
    kind=Kind.COUNTER,
    help="Transactions with the database that failed because of it.",
)
WORKERS: Final = Family(
    name="gateway_workers",
    kind=Kind.GAUGE,
    help="Worker processes that run; not shown by a gateway of one process.",
)
WORKER_RESTARTS: Final = Family(
    name="gateway_worker_restarts_total",
    kind=Kind.COUNTER,
    labels=("reason",),
    help="Worker processes that ended without being told to and were started again, by how they ended.",
)
LOG_DROPPED: Final = Family(
    name="gateway_access_log_dropped_lines_total",
    kind=Kind.COUNTER,
    help="Request lines that were not logged, because nobody read standard output fast enough.",
)
BUILD: Final = Family(
    name="gateway_build_info",
    kind=Kind.INFO,
    labels=("version", "python"),
    help="What runs.",
)
CONFIGURATION: Final = Family(
    name="gateway_configuration_info",
    kind=Kind.INFO,
    labels=("revision",),
    help="The revision of the two files that requests are decided by. More than one: processes differ.",
)
PROCESS_CPU: Final = Family(
    name="process_cpu_seconds_total",
    kind=Kind.COUNTER,
    per_worker=True,
    help="CPU time, user and system.",
)
PROCESS_MEMORY: Final = Family(
    name="process_resident_memory_bytes",
    kind=Kind.GAUGE,
    per_worker=True,
    help="Resident memory.",
)
PROCESS_FILES: Final = Family(
    name="process_open_fds",
    kind=Kind.GAUGE,
    per_worker=True,
    help="Open file descriptors: every connection is one.",
)
PROCESS_MOST_FILES: Final = Family(
    name="process_max_fds",
    kind=Kind.GAUGE,
    per_worker=True,
    help="How many file descriptors the process may have open.",
)
PROCESS_START: Final = Family(
    name="process_start_time_seconds",
    kind=Kind.GAUGE,
    per_worker=True,
    help="When the process was started, in seconds since the epoch.",
)

FAMILIES: Final = {
    family.name: family
    for family in (
        REQUESTS,
        RESPONSES,
        DECISION_SECONDS,
        REQUEST_SECONDS,
        EXCHANGES,
        REQUEST_BYTES,
        RESPONSE_BYTES,
        UNRECORDED,
        IN_FLIGHT,
        CLIENT_CONNECTIONS,
        TLS_HANDSHAKES,
        TLS_EXPIRY,
        TLS_UNUSABLE,
        UPSTREAM_FAULTS,
        UPSTREAM_RETRIES,
        UPSTREAM_CONNECTIONS,
        UPSTREAM_WAITING,
        UPSTREAM_TARGETS,
        UPSTREAM_EJECTIONS,
        UPSTREAM_HEALTH_CHECKS,
        UPSTREAM_CIRCUITS,
        LIMIT_CHECKS,
        LIMIT_REFUSALS,
        BROKEN_CONDITIONS,
        LATE_ADMISSIONS,
        REDIS_UP,
        REDIS_PROCESSES,
        AUDIT_AVAILABLE,
        AUDIT_RECORDS,
        AUDIT_FAILED,
        AUDIT_SHIPPED,
        AUDIT_WAITING,
        AUDIT_LAG,
        AUDIT_SPOOL_BYTES,
        AUDIT_SPOOL_FILL,
        AUDIT_SPARED,
        AUDIT_CHECKPOINTS,
        AUDIT_LOST,
        OUTLET_SENT,
        OUTLET_REFUSED,
        OUTLET_LAG,
        OUTLET_FAILING,
        EVENTS,
        CHANGE_FEED_AGE,
        ISSUER_FETCHES,
        ISSUER_KEYS_AGE,
        ISSUER_FAILING,
        GRANTS_UNKNOWN,
        DATABASE_ERRORS,
        WORKERS,
        WORKER_RESTARTS,
        LOG_DROPPED,
        BUILD,
        CONFIGURATION,
        PROCESS_CPU,
        PROCESS_MEMORY,
        PROCESS_FILES,
        PROCESS_MOST_FILES,
        PROCESS_START,
    )
}
"""All of them by name, in the order of the page and of the reference."""
