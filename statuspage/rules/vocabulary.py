"""The words of the product: states, stages, kinds, roles, and what breaks a rule."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

Choice = TypeVar("Choice", bound=StrEnum)


class ComponentState(StrEnum):
    """What a component can be; exactly three. Maintenance is an overlay, not a state."""

    OPERATIONAL = "operational"
    DEGRADED = "degraded"
    OUTAGE = "outage"


class Stage(StrEnum):
    """How far an incident has come."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class MaintenanceStage(StrEnum):
    """How far a maintenance window has come (the words of Statuspage's API v2)."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    VERIFYING = "verifying"
    COMPLETED = "completed"


class MaintenanceMessage(StrEnum):
    """What a message about a maintenance window is for."""

    SCHEDULED = "scheduled"
    MOVED = "moved"
    REMINDER = "reminder"
    STARTED = "started"
    UPDATE = "update"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class MessageKind(StrEnum):
    """The public messages of an incident, in the order they may come."""

    ACKNOWLEDGE = "acknowledge"
    UPDATE = "update"
    RESOLVE = "resolve"


class Visibility(StrEnum):
    """Who may see an incident."""

    PUBLIC = "public"
    INTERNAL = "internal"
    DRILL = "drill"


class Severity(StrEnum):
    """How bad an incident is; the brief's table gives their meaning."""

    SEV1 = "SEV1"
    SEV2 = "SEV2"
    SEV3 = "SEV3"
    SEV4 = "SEV4"


class Impact(StrEnum):
    """How customers are told that an incident weighs on them."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class IncidentRole(StrEnum):
    """The parts people play in one incident."""

    COMMANDER = "commander"
    TECHNICAL_LEAD = "technical_lead"
    COMMS_LEAD = "comms_lead"
    BACKUP = "backup"


class AccountRole(StrEnum):
    """What an account may do, in rising order."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    COMMS = "comms"
    ADMIN = "admin"

    def allows(self, needed: "AccountRole") -> bool:
        """Tell whether this role includes what ``needed`` may do."""
        ranks = list(AccountRole)
        return ranks.index(self) >= ranks.index(needed)


class TokenScope(StrEnum):
    """What an API token may do, in rising order."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def allows(self, needed: "TokenScope") -> bool:
        """Tell whether this scope includes what ``needed`` may do."""
        ranks = list(TokenScope)
        return ranks.index(self) >= ranks.index(needed)


class PromiseKind(StrEnum):
    """What can be owed, in the order a reader of clocks wants equal ones."""

    FIRST_UPDATE = "first_update"
    NEXT_UPDATE = "next_update"
    RESOLUTION_UPDATE = "resolution_update"
    DIRECT_EMAIL = "direct_email"
    INTERNAL_UPDATE = "internal_update"
    POST_INCIDENT_EMAIL = "post_incident_email"
    POST_MORTEM = "post_mortem"
    PUBLIC_POST_MORTEM = "public_post_mortem"


class PromiseState(StrEnum):
    """How a promise stands. ``late``: met after it was due; ``missed``: never met."""

    OPEN = "open"
    KEPT = "kept"
    LATE = "late"
    MISSED = "missed"
    WAIVED = "waived"
    WITHDRAWN = "withdrawn"


class EventKind(StrEnum):
    """What may happen to an incident that decides what is owed."""

    DECLARED = "declared"
    POSTED = "posted"
    REGRADED = "regraded"
    DECLARATION_CORRECTED = "corrected"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    INTERNAL_UPDATE_POSTED = "internal_update"
    DIRECT_EMAIL_SENT = "direct_email"
    POST_INCIDENT_EMAIL_SENT = "post_incident_email"
    POST_MORTEM_APPROVED = "post_mortem"
    POST_MORTEM_PUBLISHED = "public_post_mortem"
    WAIVED = "waived"
    CLOSED = "closed"


class DocumentKind(StrEnum):
    """The longer texts about an incident."""

    DIRECT_EMAIL = "direct_email"
    POST_INCIDENT_EMAIL = "post_incident_email"
    POST_MORTEM = "post_mortem"


class DocumentState(StrEnum):
    """How far a text has come on its way to its readers."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    REJECTED = "rejected"
    APPROVED = "approved"
    SENT = "sent"


class ActionItemState(StrEnum):
    """How a thing to be done after an incident stands."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


class Priority(StrEnum):
    """How soon a thing is to be done."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class IssueState(StrEnum):
    """How far an action item has come on its way to the issue tracker."""

    WAITING = "waiting"
    FILED = "filed"
    FAILED = "failed"


class ChannelKind(StrEnum):
    """Ways to the team besides e-mail."""

    SLACK = "slack"
    TEAMS = "teams"
    PAGER = "pager"


class SubscriptionMethod(StrEnum):
    """Ways in which a subscriber is told."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"
    TEAMS = "teams"
    DISCORD = "discord"


class SubscriptionKind(StrEnum):
    """What a subscriber may be told about."""

    INCIDENTS = "incidents"
    MAINTENANCE = "maintenance"
    COMPONENT_CHANGES = "component_changes"


OPEN_STAGES = (Stage.INVESTIGATING, Stage.IDENTIFIED, Stage.MONITORING)

SEVERITY_MEANINGS: Mapping[Severity, str] = {
    Severity.SEV1: "product unavailable, data lost, or a security breach",
    Severity.SEV2: "over 10 % of customers degraded, or a critical function impaired",
    Severity.SEV3: "a non-critical function, or few customers",
    Severity.SEV4: "cosmetic or internal",
}

# The likeliest word for the impact; the writer may choose another.
IMPACT_OF: Mapping[Severity, Impact] = {
    Severity.SEV1: Impact.HIGH,
    Severity.SEV2: Impact.MEDIUM,
    Severity.SEV3: Impact.LOW,
    Severity.SEV4: Impact.LOW,
}

LABELS: Mapping[str, str] = {
    ComponentState.OPERATIONAL: "Operational",
    ComponentState.DEGRADED: "Degraded",
    ComponentState.OUTAGE: "Outage",
    Stage.INVESTIGATING: "Investigating",
    Stage.IDENTIFIED: "Identified",
    Stage.MONITORING: "Monitoring",
    Stage.RESOLVED: "Resolved",
    MaintenanceStage.SCHEDULED: "Scheduled",
    MaintenanceStage.IN_PROGRESS: "In progress",
    MaintenanceStage.VERIFYING: "Verifying",
    MaintenanceStage.COMPLETED: "Completed",
    MaintenanceMessage.MOVED: "Moved",
    MaintenanceMessage.REMINDER: "Reminder",
    MaintenanceMessage.STARTED: "Started",
    MaintenanceMessage.FINISHED: "Finished",
    MaintenanceMessage.CANCELLED: "Cancelled",
    IncidentRole.COMMANDER: "Incident commander",
    IncidentRole.TECHNICAL_LEAD: "Technical lead",
    IncidentRole.COMMS_LEAD: "Communications lead",
    IncidentRole.BACKUP: "Backup",
    AccountRole.VIEWER: "Viewer",
    AccountRole.RESPONDER: "Responder",
    AccountRole.COMMS: "Comms",
    AccountRole.ADMIN: "Administrator",
    PromiseKind.FIRST_UPDATE: "First public update",
    PromiseKind.NEXT_UPDATE: "Next public update",
    PromiseKind.RESOLUTION_UPDATE: "Resolution update",
    PromiseKind.DIRECT_EMAIL: "Direct e-mail to customers",
    PromiseKind.INTERNAL_UPDATE: "Internal update",
    PromiseKind.POST_INCIDENT_EMAIL: "Post-incident e-mail",
    PromiseKind.POST_MORTEM: "Post-mortem",
    PromiseKind.PUBLIC_POST_MORTEM: "Public post-mortem",
    PromiseState.OPEN: "Open",
    PromiseState.KEPT: "Kept",
    PromiseState.LATE: "Late",
    PromiseState.MISSED: "Missed",
    PromiseState.WAIVED: "Waived",
    PromiseState.WITHDRAWN: "Withdrawn",
    DocumentState.DRAFT: "Draft",
    DocumentState.IN_REVIEW: "In review",
    DocumentState.REJECTED: "Rejected",
    DocumentState.APPROVED: "Approved",
    DocumentState.SENT: "Sent",
    ActionItemState.DONE: "Done",
    ActionItemState.DROPPED: "Dropped",
    ChannelKind.SLACK: "Slack",
    ChannelKind.TEAMS: "Microsoft Teams",
    ChannelKind.PAGER: "Pager or other (Apprise)",
    SubscriptionMethod.EMAIL: "E-mail",
    SubscriptionMethod.WEBHOOK: "Webhook",
    SubscriptionMethod.DISCORD: "Discord",
    SubscriptionKind.INCIDENTS: "Incidents",
    SubscriptionKind.MAINTENANCE: "Planned maintenance",
    SubscriptionKind.COMPONENT_CHANGES: "Every change of a component's state",
    Impact.HIGH: "High",
    Impact.MEDIUM: "Medium",
    Impact.LOW: "Low",
}

PAGE_STATE_WORDS: Mapping[ComponentState, str] = {
    ComponentState.OPERATIONAL: "All systems operational",
    ComponentState.DEGRADED: "Some systems are degraded",
    ComponentState.OUTAGE: "Some systems are down",
}


def worst_state(states: Iterable[ComponentState]) -> ComponentState:
    """Return the worst of the states; operational when there are none."""
    ranks = list(ComponentState)
    return max(states, key=ranks.index, default=ComponentState.OPERATIONAL)


class RuleBroken(Exception):
    """Input that can't be accepted; nothing was changed.

    ``errors`` maps a field's name to one sentence for the person who typed it.
    The empty name stands for the form as a whole.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in errors.items()))
        self.errors = dict(errors)


class Conflict(Exception):
    """A request that came too late or out of order; nothing was changed."""


class NotFound(Exception):
    """Something named that does not exist."""


def choose(kind: type[Choice], text: str, field: str, sentence: str) -> Choice:
    """Return the member of ``kind`` that the text names.

    Raises RuleBroken with ``sentence`` beside ``field`` if there is none.
    """
    try:
        return kind(text)
    except ValueError:
        raise RuleBroken({field: sentence}) from None
