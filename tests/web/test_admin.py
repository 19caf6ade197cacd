"""Components, people, wording, page: what an administrator sets up."""

from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from markupsafe import escape
from sqlalchemy import select

from statuspage.db import db
from statuspage.models import Account, Component, ComponentGroup, Page
from statuspage.rules.vocabulary import AccountRole, ComponentState
from tests import builders
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


@pytest.fixture
def admin(arrive: Arrive) -> Visitor:
    return arrive(AccountRole.ADMIN)


@pytest.mark.parametrize("path", ["/admin/components/", "/admin/people/", "/admin/templates/", "/admin/page/"])
@pytest.mark.parametrize("role", [AccountRole.VIEWER, AccountRole.RESPONDER, AccountRole.COMMS])
def test_only_administrators_get_in(role: AccountRole, path: str, arrive: Arrive) -> None:
    assert arrive(role).get(path).status_code == 403


def test_groups_and_components_are_added_changed_and_archived(admin: Visitor) -> None:
    index = "/admin/components/"
    assert admin.post(f"{index}groups", {"name": "Web"}, on=index).status_code == 303
    assert "The group “Web” was added" in admin.get(index).text
    group_id = db.session.scalars(select(ComponentGroup.id)).one()
    fields = {"name": "Sign-in", "description": "The way in", "group_id": group_id}
    assert admin.post(index, fields).status_code == 303
    assert "“Sign-in” was added" in admin.get(index).text
    component = db.session.scalars(select(Component)).one()
    assert (component.name, component.group_id, component.state) == ("Sign-in", group_id, ComponentState.OPERATIONAL)
    path = f"/admin/components/{component.id}"
    changed = {"name": "Login", "description": "", "group_id": "", "state": "degraded"}
    assert admin.post(path, changed).status_code == 303
    assert "“Login” was saved." in admin.get(index).text
    db.session.expire_all()
    assert (component.name, component.group_id, component.state) == ("Login", None, ComponentState.DEGRADED)
    assert admin.post(f"{path}/archive", {}, on=path).status_code == 303
    assert admin.get(path).status_code == 404


def test_a_group_is_renamed(admin: Visitor) -> None:
    admin.post("/admin/components/groups", {"name": "Web"}, on="/admin/components/")
    group_id = db.session.scalars(select(ComponentGroup.id)).one()
    assert (
        admin.post(f"/admin/components/groups/{group_id}", {"name": "Apps"}, on="/admin/components/").status_code == 303
    )
    db.session.expire_all()
    assert db.session.scalars(select(ComponentGroup.name)).one() == "Apps"


def test_a_component_of_an_open_incident_is_not_archived(admin: Visitor, started: datetime) -> None:
    component_id = builders.component(started)
    builders.acknowledged(builders.account(started), {component_id: ComponentState.OUTAGE}, started)
    path = f"/admin/components/{component_id}"
    answer = admin.post(f"{path}/archive", {}, on=path)
    assert answer.status_code == 409
    assert "Please resolve it first." in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("name", "", "Please fill this in."),
        ("name", "x" * 101, "Please shorten this to 100 characters (now 101)."),
        ("description", "a\nb", "Please use one line of text"),
        ("group_id", "nosuchgroup0", "This group does not exist any more"),
    ],
)
def test_a_wrong_component_is_told_beside_the_field(field: str, typed: str, sentence: str, admin: Visitor) -> None:
    fields = {"name": "Kept", "description": "", "group_id": ""} | {field: typed}
    answer = admin.post("/admin/components/", fields)
    assert answer.status_code == 422
    assert f'id="error-{field}">{sentence}' in answer.get_data(as_text=True)
    assert db.session.scalar(select(Component.id)) is None


MALFORMED = [
    "",
    "ada",
    "a@x.y,b@x.y",
    "ada@example.com\r\nBcc: eve@example.com",
    "<ada@example.com> eve@example.com",
    "ada@[127.0.0.1]",
    "ada@localhost",
    "a..b@example.com",
    "ada@-example.com",
    "x" * 65 + "@example.com",
]


def test_a_malformed_address_is_not_invited(admin: Visitor) -> None:
    for address in MALFORMED:
        answer = admin.post("/admin/people/", {"email": address, "name": "Kept name", "role": "comms"})
        page = answer.get_data(as_text=True)
        assert (address, answer.status_code) == (address, 422)
        assert 'id="error-email"' in page, address
        assert "Kept name" in page, address
        assert len(db.session.scalars(select(Account)).all()) == 1, address


def test_an_address_has_one_account(admin: Visitor) -> None:
    fields = {"email": "grace@example.com", "name": "", "role": "comms"}
    assert admin.post("/admin/people/", fields).status_code == 303
    answer = admin.post("/admin/people/", fields | {"email": "Grace@Example.com"})
    assert answer.status_code == 422
    assert "There is an account with this address already." in answer.get_data(as_text=True)


def test_administrators_can_neither_disable_nor_demote_themselves(admin: Visitor) -> None:
    account_id = db.session.scalars(select(Account.id)).one()
    for path, fields in (
        (f"/admin/people/{account_id}/disable", {}),
        (f"/admin/people/{account_id}", {"role": "viewer"}),
    ):
        assert admin.post(path, fields, on="/admin/people/").status_code == 409
    assert admin.get("/admin/people/").status_code == 200


def test_the_page_is_renamed(admin: Visitor) -> None:
    fields = {"name": "Larkspur Cloud", "time_zone": "Europe/Berlin", "support_url": "https://help.example.com"}
    assert admin.post("/admin/page/", fields).status_code == 303
    db.session.rollback()
    page = db.session.scalars(select(Page)).one()
    assert (page.name, page.time_zone, page.support_url) == tuple(fields.values())


@pytest.mark.parametrize(
    ("field", "typed"),
    [("name", ""), ("time_zone", "Mars/Olympus"), ("support_url", "javascript:alert(1)")],
)
def test_wrong_page_settings_are_told_beside_the_field(field: str, typed: str, admin: Visitor) -> None:
    fields = {"name": "Kept", "time_zone": "Etc/UTC", "support_url": ""} | {field: typed}
    answer = admin.post("/admin/page/", fields)
    assert answer.status_code == 422
    assert f'id="error-{field}"' in answer.get_data(as_text=True)


def test_what_counts_as_downtime_is_changed_and_shown(admin: Visitor) -> None:
    fields = {"degraded_percent": " 50 %", "maintenance": "counts"}
    assert admin.post("/admin/page/uptime", fields, on="/admin/page/").status_code == 303
    db.session.rollback()
    page = db.session.scalars(select(Page)).one()
    assert (page.uptime_degraded_percent, page.uptime_excludes_maintenance) == (50, False)
    form = admin.get("/admin/page/").get_data(as_text=True)
    assert 'name="degraded_percent" type="text" value="50"' in form
    assert 'value="counts" checked' in form


@pytest.mark.parametrize("typed", ["", "101", "-1", "half", "<b>"])
def test_a_share_that_is_none_is_told_beside_the_field_and_kept(typed: str, admin: Visitor) -> None:
    fields = {"degraded_percent": typed, "maintenance": "counts"}
    answer = admin.post("/admin/page/uptime", fields, on="/admin/page/")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'id="error-degraded_percent">Please give a whole number from 0 to 100.' in page
    assert f'value="{escape(typed)}"' in page
    assert 'value="counts" checked' in page
    # The other form stands as it is saved.
    assert 'name="name" type="text" value="Larkspur"' in page
    db.session.rollback()
    assert db.session.scalars(select(Page)).one().uptime_degraded_percent == 0


def test_a_form_opened_before_an_outage_does_not_end_it(admin: Visitor, started: datetime) -> None:
    component_id = builders.component(started, "Sign-in")
    path = f"/admin/components/{component_id}"
    stale = admin.hidden(path)
    builders.acknowledged(builders.account(started), {component_id: ComponentState.OUTAGE}, started)
    fields = {"name": "Signing in", "description": "", "group_id": "", "state": "operational"}
    assert admin.post_as_is(path, stale | fields).status_code == 303
    db.session.expire_all()
    component = db.session.get_one(Component, component_id)
    assert (component.name, component.state) == ("Signing in", ComponentState.OUTAGE)


def test_a_double_click_adds_one_component_and_one_group(admin: Visitor) -> None:
    for path, fields in (
        ("/admin/components/", {"name": "Sign-in", "description": "", "group_id": ""}),
        ("/admin/components/groups", {"name": "Web"}),
    ):
        codes = [admin.post(path, fields, on="/admin/components/").status_code for _ in range(2)]
        assert codes == [303, 422]
    assert len(db.session.scalars(select(Component)).all()) == 1
    assert len(db.session.scalars(select(ComponentGroup)).all()) == 1
