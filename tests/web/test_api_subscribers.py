"""Subscribers and customers by the API: Statuspage's shape, consent asked for or vouched for, nobody brought back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from statuspage import clock
from statuspage.db import db, transaction
from statuspage.models import Announcement, AuditEntry, Delivery, Subscriber, Suppression
from statuspage.rules.subscriptions import suppression_keys
from statuspage.rules.vocabulary import TokenScope
from statuspage.settings import Settings
from tests import builders
from tests.web.programs import Program

Make = Callable[[TokenScope], Program]

KEYS = """
id skip_confirmation_notification mode email endpoint phone_number phone_country display_phone_number
obfuscated_channel_name workspace_name quarantined_at purge_at components page_access_user_id created_at
kinds state confirmed_at unsubscribed_at source
"""


@pytest.fixture
def admin(program: Make) -> Program:
    return program(TokenScope.ADMIN)


@pytest.fixture
def billing(page_id: str, started: datetime) -> str:
    return builders.component(started, "Billing")


def added(who: Program, email: str, status: int = 201, **more: Any) -> Any:
    return who.post("/subscribers", {"subscriber": {"email": email, **more}}, status)


def vouched(who: Program, email: str, status: int = 201, **more: Any) -> Any:
    return added(who, email, status, skip_confirmation_notification=True, **more)


def mails() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Delivery.address).order_by(Delivery.id)))


def wait(subscriber_id: str) -> None:
    """Let two hours pass since this one was asked."""
    with transaction(clock.now()) as session:
        earlier = clock.now() - timedelta(hours=2)
        session.execute(update(Announcement).where(Announcement.subject_id == subscriber_id).values(created_at=earlier))


def test_who_is_added_is_asked_by_mail(writer: Program, billing: str) -> None:
    made = added(writer, "ada@EXAMPLE.com", component_ids=[billing], kinds=["maintenance"])
    assert list(made) == KEYS.split()
    assert (made["email"], made["mode"], made["components"], made["kinds"]) == (
        "ada@example.com",
        "email",
        [billing],
        ["maintenance"],
    )
    assert (made["state"], made["confirmed_at"], made["source"]) == ("unconfirmed", None, "api")
    assert mails() == ["ada@example.com"]
    assert added(writer, "Ada@example.com")["id"] == made["id"]
    assert mails() == ["ada@example.com"], "again within the hour nobody is asked twice"
    builders.confirm(made["id"], clock.now())
    assert writer.get(f"/subscribers/{made['id']}")["state"] == "active"


def test_only_an_admin_s_key_may_vouch_for_somebody(writer: Program, admin: Program) -> None:
    refused = vouched(writer, "ada@example.com", 403)
    assert refused == {"error": "Only a key with the scope admin may say that somebody agreed to get mail."}
    assert writer.get("/subscribers?state=all") == []
    made = vouched(admin, "ada@example.com")
    assert (made["state"], made["components"], mails()) == ("active", None, [])
    assert made["confirmed_at"] is not None
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.object_kind == "subscriber")).one()
    assert (entry.object_id, entry.detail) == (made["id"], {"source": "api", "vouched": True})
    assert "already" in vouched(admin, "ADA@example.com", 409)["error"]


def test_a_webhook_has_an_owner_and_an_endpoint(admin: Program) -> None:
    made = vouched(admin, "ada@example.com", endpoint="https://hooks.example.com/a?b=c")
    assert (made["mode"], made["endpoint"]) == ("webhook", "https://hooks.example.com/a?b=c")
    db.session.rollback()
    assert db.session.scalars(select(Subscriber)).one().secret.startswith("whsec_")
    vouched(admin, "ada@example.com")
    assert admin.get("/subscribers/count")["webhook"] == 1
    assert admin.get("/subscribers/count?type=email") == {"email": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": 7}, "email"),
        ({"email": "a@example.com", "component_ids": ["nosuchthing0"]}, "component_ids"),
        ({"email": "a@example.com", "component_ids": []}, "component_ids"),
        ({"email": "a@example.com", "component_ids": "all"}, "component_ids"),
        ({"email": "a@example.com", "kinds": ["sms"]}, "kinds"),
        ({"email": "a@example.com", "kinds": []}, "kinds"),
        ({"email": "a@example.com", "phone_number": "1"}, "phone_number"),
        ({"email": "a@example.com", "skip_confirmation_notification": "maybe"}, "skip_confirmation_notification"),
        ({"email": "a@example.com", "endpoint": "http://hooks.example.com/"}, "endpoint"),
        ({"email": "a@example.com", "endpoint": "https://user@hooks.example.com/"}, "endpoint"),
        ({"email": "a@example.com", "endpoint": "https://[1/"}, "endpoint"),
        ({"email": "a@example.com", "endpoint": "https://hooks.example.com/ x"}, "endpoint"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(body: dict[str, Any], field: str, writer: Program) -> None:
    assert list(writer.post("/subscribers", {"subscriber": body}, 422)["errors"]) == [field]
    assert writer.get("/subscribers?state=all") == []


def test_nobody_who_left_is_brought_back_by_a_program(admin: Program, settings: Settings) -> None:
    made = vouched(admin, "ada@example.com")
    gone = admin._checked(admin.send("DELETE", f"/subscribers/{made['id']}"), 200)
    assert gone["id"] == made["id"]
    assert admin.get(f"/subscribers/{made['id']}")["state"] == "unsubscribed"
    assert vouched(admin, "ada@example.com", 409)["error"].startswith("They unsubscribed: ")
    assert admin.get("/subscribers?state=all") == []
    assert "nothing to change" in admin.patch(f"/subscribers/{made['id']}", {"kinds": ["incidents"]}, 409)["error"]
    assert added(admin, "ada@example.com")["state"] == "unconfirmed", "they may be asked"
    name = suppression_keys("bea@example.com", [settings.secret_key])[-1]
    with transaction(clock.now()) as session:
        values = {"address_key": name, "reason": "complaint", "created_at": clock.now()}
        session.execute(insert(Suppression), [values])
    for how in (vouched, added):
        assert "spam" in how(admin, "Bea@example.com", 409)["error"]


def test_a_choice_is_changed_and_what_is_not_named_stays(admin: Program, component_id: str, billing: str) -> None:
    path = f"/subscribers/{vouched(admin, 'ada@example.com', component_ids=[billing])['id']}"
    assert admin.patch(path, {"component_ids": [component_id]})["components"] == [component_id]
    assert admin.put(path, {"subscriber": {"kinds": ["incidents"]}})["components"] == [component_id]
    assert admin.patch(path, {"component_ids": None})["components"] is None
    assert admin.get(path)["kinds"] == ["incidents"]
    admin.patch(path, {"component_ids": []}, 422)
    admin.patch(path, {"component_ids": ["nosuchthing0"]}, 422)
    admin.patch("/subscribers/nosuchthing0", {"kinds": ["incidents"]}, 404)


def test_who_waits_is_asked_once_more_but_not_at_once(writer: Program, admin: Program) -> None:
    made = added(writer, "ada@example.com")
    path = f"/subscribers/{made['id']}/resend_confirmation"
    assert "less than an hour" in writer.post(path, {}, 409)["error"]
    wait(made["id"])
    writer.post(path, {}, 201)
    assert mails() == ["ada@example.com"] * 2
    other = vouched(admin, "bea@example.com")
    assert "does not wait" in writer.post(f"/subscribers/{other['id']}/resend_confirmation", {}, 409)["error"]


def test_the_list_chooses_by_state_type_and_words_and_counts_pages_from_0(admin: Program) -> None:
    for number in range(3):
        vouched(admin, f"r{number}@example.com")
    added(admin, "waits@example.com")
    emails = lambda path: [each["email"] for each in admin.get(path)]  # noqa: E731
    assert emails("/subscribers") == ["r0@example.com", "r1@example.com", "r2@example.com"]
    assert (
        emails("/subscribers?limit=2") == emails("/subscribers?limit=2&page=0") == ["r0@example.com", "r1@example.com"]
    )
    assert emails("/subscribers?limit=2&page=1") == ["r2@example.com"]
    assert emails("/subscribers?page=100&limit=100") == []
    assert emails("/subscribers?state=unconfirmed") == ["waits@example.com"]
    assert len(emails("/subscribers?state=all&type=email")) == 4
    assert emails("/subscribers?type=sms") == emails("/subscribers?type=webhook") == []
    assert emails("/subscribers?q=R1%40") == ["r1@example.com"]
    assert admin.get("/subscribers/count?state=all") == {
        "email": 4,
        "webhook": 0,
        "slack": 0,
        "teams": 0,
        "discord": 0,
        "sms": 0,
        "integration_partner": 0,
    }
    for query in ("state=gone", "type=pigeon", "page=x"):
        admin.get(f"/subscribers?{query}", 422)


# --- customers -------------------------------------------------------------


def test_a_customer_is_added_replaced_and_forgotten(writer: Program, component_id: str, billing: str) -> None:
    body = {"email": "Ada@example.com", "name": "Ada", "component_ids": [billing]}
    made = writer.post("/customers", {"customer": body})
    assert (made["email"], made["name"], made["component_ids"]) == ("Ada@example.com", "Ada", [billing])
    again = writer.put("/customers", {"email": "ada@example.com", "component_ids": [component_id]})
    assert (again["id"], again["name"], again["component_ids"]) == (made["id"], "", [component_id])
    path = f"/customers/{made['id']}"
    assert writer.get("/customers") == writer.get("/customers?q=ADA") == [again] == [writer.get(path)]
    assert writer.get("/customers?q=nobody") == writer.get("/customers?page=2") == []
    assert writer._checked(writer.send("DELETE", path), 200) == again
    writer.get(path, 404)
    assert writer.send("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "nobody", "component_ids": ["ID"]}, "email"),
        ({"email": "a@example.com"}, "component_ids"),
        ({"email": "a@example.com", "component_ids": ["nosuchthing0"]}, "component_ids"),
        ({"email": "a@example.com", "component_ids": ["ID"], "name": "x" * 201}, "name"),
    ],
)
def test_a_customer_that_can_t_be_is_refused(
    body: dict[str, Any], field: str, writer: Program, component_id: str
) -> None:
    filled = {
        **body,
        "component_ids": [component_id if each == "ID" else each for each in body.get("component_ids", [])],
    }
    assert list(writer.post("/customers", filled, 422)["errors"]) == [field]


def test_a_customer_who_is_forgotten_gets_no_mail_that_waits(
    writer: Program, component_id: str, started: datetime
) -> None:
    from tests.actions.test_customers import told

    made = writer.post("/customers", {"email": "a@example.com", "component_ids": [component_id]})
    incident_id = builders.declared(None, {component_id: builders.ComponentState.OUTAGE}, started)
    (delivery,) = told(incident_id, started)
    assert (delivery.customer_id, delivery.state) == (made["id"], "queued")
    assert writer.send("DELETE", f"/customers/{made['id']}").status_code == 200
    db.session.refresh(delivery)
    assert (delivery.customer_id, delivery.state) == (None, "cancelled")
