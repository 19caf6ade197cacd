"""Components: their order, groups that go, and what is archived and comes back."""

from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import component_order, components
from statuspage.db import db
from statuspage.models import Component, ComponentGroup
from statuspage.rules.vocabulary import AccountRole, TokenScope
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor
from tests.web.programs import Program

PATH = "/admin/components/"


@pytest.fixture
def admin(page_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    return arrive(AccountRole.ADMIN)


@pytest.fixture
def web(page_id: str, started: datetime) -> str:
    return components.create_group("Web", None, started)


def in_order(group_id: str | None = None) -> str:
    """Return the letters that the components of a group are called by, as the page lists them."""
    db.session.rollback()
    query = select(Component.name).where(
        Component.archived_at.is_(None), Component.group_id.is_not_distinct_from(group_id)
    )
    return "".join(db.session.scalars(query.order_by(Component.position)))


def made(letters: str, group_id: str, now: datetime) -> dict[str, str]:
    return {letter: builders.component(now, letter, group_id) for letter in letters}


def words(visitor: Visitor) -> str:
    return text_of(check_page(visitor.get(PATH).text))


@pytest.mark.parametrize(
    ("moved", "place", "order", "said"),
    [
        ("c", "1", "cabd", "“c” is now number 1 of 4."),
        ("a", "2", "bacd", "“a” is now number 2 of 4."),
        ("a", "4", "bcda", "“a” is now number 4 of 4."),
        ("b", "99", "acdb", "“b” is now number 4 of 4."),
        ("d", "0", "dabc", "“d” is now number 1 of 4."),
    ],
)
def test_a_component_is_put_at_a_place_and_the_place_is_said(
    moved: str, place: str, order: str, said: str, admin: Visitor, started: datetime
) -> None:
    ids = made("abcd", "", started)
    answer = admin.post(f"{PATH}{ids[moved]}/place", {"place": place}, on=PATH)
    assert (answer.status_code, answer.location) == (303, f"{PATH}#component-{ids[moved]}")
    assert in_order() == order
    assert said in words(admin)


def test_arrows_say_where_they_lead_and_the_ends_lead_nowhere(admin: Visitor, started: datetime) -> None:
    made("abc", "", started)
    buttons = [
        ("disabled" in button.attrib, button.get("value"), text_of(button))
        for button in check_page(admin.get(PATH).text).iter("button")
        if button.get("name") == "place"
    ]
    assert buttons == [
        (True, "0", "↑Move a up"), (False, "2", "↓Move a down"),
        (False, "1", "↑Move b up"), (False, "3", "↓Move b down"),
        (False, "2", "↑Move c up"), (True, "4", "↓Move c down"),
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["", "first", "-1", "1.5", "9" * 30, "²"])
def test_a_place_that_is_none_is_refused(place: str, admin: Visitor, web: str, started: datetime) -> None:
    ids = made("ab", "", started)
    for path in (f"{PATH}{ids['a']}/place", f"{PATH}groups/{web}/place"):
        answer = admin.post(path, {"place": place}, on=PATH)
        assert answer.status_code == 422
        assert "Please give a place in the list, such as 1." in text_of(check_page(answer.text))
    assert in_order() == "ab"


def test_a_group_moves_with_all_that_is_in_it_and_every_list_agrees(
    admin: Visitor, web: str, program: Callable[[TokenScope], Program], started: datetime
) -> None:
    apps = components.create_group("Apps", None, started)
    made("cd", apps, started)
    made("ef", "", started)
    made("ab", web, started)
    reader = program(TokenScope.READ)

    def by_api() -> str:
        listed = reader.get("/components")
        return "".join(each["name"] for each in listed if not each["group"])

    # A component that joins a group stands with it in the flat list too.
    assert by_api() == "abcdef"
    assert admin.post(f"{PATH}groups/{apps}/place", {"place": "1"}, on=PATH).status_code == 303
    assert by_api() == "cdabef"
    assert "The group “Apps” is now number 1 of 2." in words(admin)
    db.session.rollback()
    assert db.session.scalars(select(Component.position).order_by(Component.position)).all() == [1, 2, 3, 4, 5, 6]


def test_a_component_that_changes_its_group_stands_last_there(admin: Visitor, web: str, started: datetime) -> None:
    made("ab", web, started)
    ids = made("cd", "", started)
    components.edit_component(ids["c"], "c", "", web, None, None, clock.now())
    assert (in_order(web), in_order()) == ("abc", "d")
    # Nothing but its name: it stays where it is.
    component_order.place_component(ids["c"], 1, None, clock.now())
    components.edit_component(ids["c"], "x", "", web, None, None, clock.now())
    assert in_order(web) == "xab"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), max_size=6))
def test_whatever_is_moved_nothing_is_lost_or_doubled(
    app: Flask, page_id: str, started: datetime, moves: list[tuple[int, int]]
) -> None:
    if db.session.scalar(select(Component.id)) is None:
        made("abcde", "", started)
    expected = list(in_order())
    ids = {each.name: each.id for each in db.session.scalars(select(Component))}
    for index, place in moves:
        letter = expected.pop(index)
        expected.insert(max(place - 1, 0), letter)
        number, of = component_order.place_component(ids[letter], place, None, clock.now())
        assert (number, of) == (expected.index(letter) + 1, 5)
    assert in_order() == "".join(expected)


def test_a_group_goes_only_when_it_is_empty_and_after_one_question(admin: Visitor, web: str, started: datetime) -> None:
    path = f"{PATH}groups/{web}/delete"
    ids = made("ab", web, started)
    assert path not in admin.get(PATH).text
    refused = admin.post(path, {})
    assert refused.status_code == 409
    assert "There are components in “Web”." in text_of(check_page(refused.text))
    for component_id in ids.values():
        components.archive_component(component_id, builders.account(started), clock.now())
    assert path in admin.get(PATH).text
    asked = text_of(check_page(admin.get(path).text))
    assert "Delete the group “Web”?" in asked
    assert "This can’t be undone" in asked
    assert admin.post(path, {}).status_code == 303
    assert "The group “Web” was deleted." in words(admin)
    db.session.rollback()
    assert db.session.scalars(select(ComponentGroup)).all() == []
    # What was archived in it comes back without a group.
    assert admin.post(f"{PATH}{ids['a']}/restore", {}, on=PATH).status_code == 303
    assert in_order() == "a"


def test_an_archived_component_comes_back_by_undo_and_by_the_list(admin: Visitor, started: datetime) -> None:
    ids = made("abc", "", started)
    undo = f"{PATH}{ids['a']}/restore"
    assert admin.post(f"{PATH}{ids['a']}/archive", {}, on=PATH).status_code == 303
    page = admin.get(PATH).text
    assert "“a” was archived: it is off the public page." in text_of(check_page(page))
    assert page.count(f'action="{undo}"') == 2
    assert in_order() == "bc"
    # Said once; the list of what is archived keeps the way back.
    assert admin.get(PATH).text.count(f'action="{undo}"') == 1
    assert admin.post(undo, {}, on=PATH).status_code == 303
    assert in_order() == "bca"
    again = admin.post(undo, {}, on=PATH)
    assert again.status_code == 409
    assert "“a” is on the page already." in again.text


def test_what_comes_back_takes_no_other_s_name(admin: Visitor, started: datetime) -> None:
    old = made("a", "", started)["a"]
    components.archive_component(old, builders.account(started), clock.now())
    made("a", "", started)
    answer = admin.post(f"{PATH}{old}/restore", {}, on=PATH)
    assert answer.status_code == 409
    assert "There is another component called “a” in this group." in text_of(check_page(answer.text))
    assert in_order() == "a"


def test_two_groups_have_two_names(admin: Visitor, web: str, started: datetime) -> None:
    components.create_group("Apps", None, started)
    answer = admin.post(f"{PATH}groups/{web}", {"name": "Apps"}, on=PATH)
    assert answer.status_code == 422
    assert f'id="error-{web}_name">There is another group of this name already.' in answer.text


@pytest.mark.parametrize(
    "path", ["nosuchthing0/place", "nosuchthing0/restore", "groups/nosuchthing0/place", "groups/nosuchthing0/delete"]
)
def test_what_is_not_there_is_not_found(path: str, admin: Visitor) -> None:
    assert admin.post(f"{PATH}{path}", {"place": "1"}, on=PATH).status_code == 404


def test_with_nothing_set_up_the_page_teaches(admin: Visitor) -> None:
    assert "Add one for each thing your customers would say is broken" in words(admin)
    assert "With fewer than six components you need none." in words(admin)
