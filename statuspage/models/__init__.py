"""The schema: columns, keys, constraints, one-line properties. Behaviour lives elsewhere."""

from statuspage.models.action_items import ActionItem, ActionItemReminder, IssueExport
from statuspage.models.columns import ID_LENGTH, new_id
from statuspage.models.drafts import DocumentDraft, MessageDraft, Presence
from statuspage.models.incidents import (
    Drill,
    Incident,
    IncidentComponent,
    IncidentEvent,
    InternalUpdate,
    RoleAssignment,
    Update,
)
from statuspage.models.maintenances import Maintenance, MaintenanceComponent, MaintenanceSeries, MaintenanceUpdate
from statuspage.models.outbox import Announcement, Channel, Delivery, ProviderEvent, ProviderState
from statuspage.models.pages import Change, Component, ComponentGroup, ComponentStateChange, Logo, Page
from statuspage.models.people import (
    Account,
    ApiToken,
    AuditEntry,
    FormSubmission,
    Heartbeat,
    LoginSession,
)
from statuspage.models.promises import Alarm, Document, EscalationStep, PolicyVersion, Promise, PromiseChange, Waiver
from statuspage.models.subscribers import (
    Customer,
    CustomerComponent,
    ImportJob,
    IncidentFollow,
    SoftBounce,
    Subscriber,
    SubscriberComponent,
    Suppression,
)
from statuspage.models.texts import SavedReply, TemplateVersion
from statuspage.models.wording import OwnWord, WordingOverride

__all__ = [
    "ID_LENGTH",
    "Account",
    "ActionItem",
    "ActionItemReminder",
    "Alarm",
    "Announcement",
    "ApiToken",
    "AuditEntry",
    "Change",
    "Channel",
    "Component",
    "ComponentGroup",
    "ComponentStateChange",
    "Customer",
    "CustomerComponent",
    "Delivery",
    "Document",
    "DocumentDraft",
    "Drill",
    "EscalationStep",
    "FormSubmission",
    "Heartbeat",
    "ImportJob",
    "Incident",
    "IncidentComponent",
    "IncidentEvent",
    "IncidentFollow",
    "InternalUpdate",
    "IssueExport",
    "LoginSession",
    "Logo",
    "Maintenance",
    "MaintenanceComponent",
    "MaintenanceSeries",
    "MaintenanceUpdate",
    "MessageDraft",
    "OwnWord",
    "Page",
    "PolicyVersion",
    "Presence",
    "Promise",
    "PromiseChange",
    "ProviderEvent",
    "ProviderState",
    "RoleAssignment",
    "SavedReply",
    "SoftBounce",
    "Subscriber",
    "SubscriberComponent",
    "Suppression",
    "TemplateVersion",
    "Update",
    "Waiver",
    "WordingOverride",
    "new_id",
]
