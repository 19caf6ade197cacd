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
from statuspage.models.maintenances import Maintenance, MaintenanceComponent, MaintenanceUpdate
from statuspage.models.outbox import Announcement, Channel, Customer, CustomerComponent, Delivery, Subscriber
from statuspage.models.pages import Change, Component, ComponentGroup, ComponentStateChange, Page
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
    "Incident",
    "IncidentComponent",
    "IncidentEvent",
    "InternalUpdate",
    "LoginSession",
    "Maintenance",
    "MaintenanceComponent",
    "MaintenanceUpdate",
    "MessageTemplate",
    "Page",
    "PolicyVersion",
    "Promise",
    "PromiseChange",
    "RoleAssignment",
    "Subscriber",
    "Update",
    "Waiver",
    "new_id",
]
