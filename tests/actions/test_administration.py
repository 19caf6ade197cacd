"""What administrators do, on both databases."""

import threading
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import func, select

from statuspage import audit_log
from statuspage.actions import component_order, components, integrations, people
from statuspage.db import db
from statuspage.models import Account, Announcement, Component, Delivery
from statuspage.rules.vocabulary import AccountRole, Conflict, SubscriptionMethod, TokenScope
from tests import builders


def test_positions_count_through_the_page_group_by_group(app: Flask, now: datetime) -> None:
    builders.page(now)
    web, apps = (components.create_group(name, None, now) for name in ("Web", "Apps"))
    ids = {
        name: builders.component(now, name, group) for name, group in (("x", ""), ("a", apps), ("b", web), ("c", web))
    }
    assert component_order.place_component(ids["c"], 1, None, now) == (1, 2)
    assert component_order.place_group(apps, 1, None, now) == (1, 2)
    db.session.rollback()
    listed = db.session.execute(select(Component.name, Component.position).order_by(Component.position)).all()
    assert [tuple(row) for row in listed] == [("a", 1), ("c", 2), ("b", 3), ("x", 4)]
    by = builders.account(now)
    components.archive_component(ids["a"], by, now)
    component_order.delete_group(apps, by, now)
    component_order.restore_component(ids["a"], by, now)
    db.session.rollback()
    assert db.session.get_one(Component, ids["a"], populate_existing=True).group_id is None


def test_two_administrators_who_disable_each_other_leave_one(app: Flask, now: datetime) -> None:
    builders.page(now)
    pair = [builders.account(now, AccountRole.ADMIN) for _ in range(2)]
    refused: list[Conflict] = []

    def disable(whom: str, by: str) -> None:
        with app.app_context():
            try:
                people.disable_account(whom, by, now)
            except Conflict as conflict:
                refused.append(conflict)

    threads = [threading.Thread(target=disable, args=each) for each in (pair, reversed(pair))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    left = select(func.count()).where(Account.role == AccountRole.ADMIN, Account.disabled_at.is_(None))
    assert db.session.scalar(left) == 1
    assert len(refused) == 1


def test_the_audit_log_is_filtered_and_paged(app: Flask, now: datetime) -> None:
    builders.page(now)
    ada = builders.account(now)
    people.revoke_token(people.add_token("robot", TokenScope.READ, ada, now).split("_")[2], ada, now)
    components.create_group("Web", None, now + timedelta(days=1))
    tomorrow = (now + timedelta(days=1)).date()
    for chosen, actions in (
        (audit_log.Filter(who=ada), ["revoke token", "add token"]),
        (audit_log.Filter(kind="component_group"), ["create group"]),
        (audit_log.Filter(first=tomorrow), ["create group"]),
        (audit_log.Filter(who=audit_log.NOBODY, last=now.date()), ["add account", "create page"]),
        (audit_log.Filter(who=audit_log.PROGRAMS), []),
    ):
        lines, further = audit_log.read(chosen, None)
        assert ([line.action for line in lines], further) == (actions, None)


def test_a_test_is_one_delivery_to_whom_it_is_meant_for(app: Flask, now: datetime) -> None:
    builders.page(now)
    ada = builders.account(now, email="ada@example.com")
    hook = builders.subscribed(now, method=SubscriptionMethod.WEBHOOK, endpoint="https://hooks.example.com/x")
    assert integrations.test_mail(ada, now) == "ada@example.com"
    integrations.test_endpoint(hook, ada, now)
    integrations.publish_again(ada, now)
    db.session.rollback()
    found = db.session.execute(
        select(Announcement.kind, Delivery.address, Delivery.lane)
        .join(Delivery, Delivery.announcement_id == Announcement.id)
        .where(Announcement.kind.in_(["mail_test", "endpoint_test"]))
        .order_by(Announcement.id)
    ).all()
    assert [tuple(row) for row in found] == [("mail_test", "ada@example.com", 0), ("endpoint_test", hook, 3)]
