"""Lists from memory are those that sorting everything anew would make."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from statuspage.site.listing import Listing, Place

START = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
COMPONENTS = ("mail", "web")


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def place(name: str, began: int, said: int | None = None, *, is_open: bool = False, of: tuple[str, ...] = ()) -> Place:
    posted_at = at(said) if said is not None else None
    return Place(name, name.title(), at(began), None, posted_at, is_open, None, frozenset(of))


PLACES = st.builds(
    lambda name, began, said, is_open, of: place(name, began, said, is_open=is_open, of=tuple(of)),
    st.sampled_from("abcdefgh"),
    st.integers(0, 5),
    st.none() | st.integers(0, 5),
    st.booleans(),
    st.sets(st.sampled_from(COMPONENTS)),
)
STEPS = st.lists(PLACES | st.sampled_from("abcdefgh"), max_size=30)


def newest(places: dict[str, Place], key: Any) -> list[str]:
    return [each.id for each in sorted(places.values(), key=key, reverse=True)]


@given(first=st.lists(PLACES, max_size=8, unique_by=lambda each: each.id), steps=STEPS)
def test_after_any_changes_the_lists_are_as_if_sorted_anew(first: list[Place], steps: list[Place | str]) -> None:
    listing, kept = Listing(first), {each.id: each for each in first}
    for step in steps:
        if isinstance(step, Place):
            listing.put(step)
            kept[step.id] = step
        else:
            listing.remove(step)
            kept.pop(step, None)
    said = {name: each for name, each in kept.items() if each.posted_at is not None}
    assert sorted(listing.ids()) == sorted(kept)
    assert listing.newest(None) == newest(kept, lambda each: (each.began_at, each.id))
    assert listing.last_said(100) == newest(said, lambda each: (each.posted_at, each.id))
    assert listing.unsaid() == sorted(kept.keys() - said.keys(), reverse=True)
    assert {each.id for each in listing.still_open()} == {each.id for each in kept.values() if each.is_open}
    assert listing.ends() == (
        (min(each.began_at for each in kept.values()), max(each.began_at for each in kept.values())) if kept else ()
    )
    for component in COMPONENTS:
        own = {name: each for name, each in kept.items() if component in each.component_ids}
        assert listing.newest(None, component) == newest(own, lambda each: (each.began_at, each.id))
        spoken = {name: each for name, each in own.items() if name in said}
        assert listing.last_said(100, component) == newest(spoken, lambda each: (each.posted_at, each.id))


def test_a_span_of_time_has_its_first_moment_and_not_its_last() -> None:
    listing = Listing([place("a", 1), place("b", 2), place("c", 3), place("d", 4)])
    assert listing.between(at(2), at(4)) == ["c", "b"]
    assert listing.between(at(1), at(9), 2) == ["d", "c"]
    assert listing.between(at(5), at(9)) == []


def test_so_many_at_most_are_the_newest() -> None:
    listing = Listing([place(name, number, 9 - number, of=("web",)) for number, name in enumerate("abcd")])
    assert listing.newest(2) == listing.newest(2, "web") == ["d", "c"]
    assert listing.last_said(2) == listing.last_said(2, "web") == ["a", "b"]
    assert listing.newest(2, "mail") == listing.last_said(2, "mail") == []


def test_of_a_component_what_began_since_a_moment() -> None:
    listing = Listing([place("a", 1, of=("web",)), place("b", 2, of=("web",)), place("c", 3)])
    assert [each.id for each in listing.of_component("web", at(2))] == ["b"]
    assert [each.id for each in listing.of_component("web", at(0))] == ["b", "a"]
    assert listing.of_component("mail", at(0)) == []


def test_the_open_ones_come_with_the_last_message_first_and_those_without_one_last() -> None:
    listing = Listing(
        [place("a", 1, 1, is_open=True), place("b", 1, 5, is_open=True), place("c", 1, is_open=True), place("d", 1, 9)]
    )
    assert [each.id for each in listing.still_open()] == ["b", "a", "c"]
