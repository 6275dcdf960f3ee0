"""Alerts: what people are told, over which channel, and what they do not want to hear for a while."""

from mrs_assets.contracts.columns import Count, Instant, Texts, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows

ALERT_KINDS = ("operational", "business")
ALERT_STATES = ("open", "updated", "resolved")
ALERT_SEVERITIES = ("info", "warn", "error", "page")
DELIVERY_OUTCOMES = ("sending", "sent", "failed", "given_up")


class Alert(Rows):
    """One change of one alert: it opens, is updated while it lasts, and is resolved."""

    alert_id: str = required(
        str_matches=r"^AL-[0-9a-f]{20}$", description="Identity: what it is about, and its opening."
    )
    change: Count = required(ge=1, description="Number of the change: 1 opens it.")
    fingerprint: str = name(description="What it is about, the same each time it opens; never holds a time.")
    kind: str = required(isin=list(ALERT_KINDS), description="`operational` or `business`.")
    rule: str = name(description="The rule that raised it.")
    state: str = required(isin=list(ALERT_STATES), description="What this change did.")
    severity: str = required(isin=list(ALERT_SEVERITIES), description="`info`, `warn`, `error` or `page`.")
    title: str = required(description="One sentence.")
    body: str = required(description="What failed, why, what is kept safe, what to do.")
    retailers: Texts = required(description="Whom it concerns, sorted; empty: everybody.")
    regions: Texts = required(description="Regions of the stores that it concerns, sorted.")
    categories: Texts = required(description="Categories of causes that it concerns, sorted.")
    members: Texts = required(description="What is grouped in it: objectives, breakers, runs, reports; sorted.")
    size: float = required(ge=0, description="How large it is: the money of an event, otherwise the number of members.")
    conclusion: str = optional(description="What is believed of it, such as an event's cause; NULL: it has none.")
    parent_id: str = optional(description="Open alert that explains this one, which therefore is not delivered.")
    link: str = optional(description="Where to look: an address of the UI.")
    tells: bool = required(description="Whether people are told of this change; otherwise it is only kept.")
    cleared_at: Instant = optional(description="Since when what it is about is gone; NULL: it is there. UTC.")
    opened_at: Instant = required(description="When it opened. UTC.")
    noted_at: Instant = required(description="When this change was noted. UTC.")


class Delivery(Rows):
    """One attempt to tell somebody of one change."""

    delivery_id: str = name(description="Identity of the message: alert, change and channel; the same at each attempt.")
    attempt: Count = required(ge=1, description="Number of the attempt.")
    alert_id: str = name(description="The alert.")
    change: Count = required(ge=1, description="The newest change that it tells of.")
    channel: str = name(description="Name of the channel in the settings.")
    outcome: str = required(
        isin=list(DELIVERY_OUTCOMES),
        description="`sending`: begun, and nobody knows yet; `sent`, `failed`, `given_up`.",
    )
    message_id: str = name(description="The message that it went out with; a digest tells of several alerts.")
    detail: str = optional(description="Why it failed. Holds no secret.")
    attempted_at: Instant = required(description="When. UTC.")
    retry_at: Instant = optional(description="When to try again; NULL: not again. UTC.")


class Silence(Rows):
    """What somebody does not want to hear until an instant."""

    silence_id: str = name(description="Identity of the silence.")
    fingerprint: str = name(description="Pattern of the fingerprints, with `*`.")
    since: Instant = required(description="When it begins. UTC.")
    until: Instant = required(description="When it ends. UTC.")
    actor: str = name(description="Who asked for it.")
    reason: str = required(description="Why, in words.")


ALERTS = Contract(name="alerts_log", rows=Alert, key=("alert_id", "change"), stage="operations")
DELIVERIES = Contract(name="alert_deliveries_log", rows=Delivery, key=("delivery_id", "attempt"), stage="operations")
SILENCES = Contract(name="alert_silences_log", rows=Silence, key=("silence_id",), stage="operations")
