"""The schema: columns, keys, constraints, one-line properties. Behaviour lives elsewhere."""

from statuspage.models.columns import ID_LENGTH, new_id
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
    MessageTemplate,
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

__all__ = [
    "ID_LENGTH",
    "Account",
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
    "LoginSession",
    "Logo",
    "Maintenance",
    "MaintenanceComponent",
    "MaintenanceSeries",
    "MaintenanceUpdate",
    "MessageTemplate",
    "Page",
    "PolicyVersion",
    "Promise",
    "PromiseChange",
    "ProviderEvent",
    "ProviderState",
    "RoleAssignment",
    "SoftBounce",
    "Subscriber",
    "SubscriberComponent",
    "Suppression",
    "Update",
    "Waiver",
    "new_id",
]
