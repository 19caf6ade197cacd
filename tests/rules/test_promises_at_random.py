"""Any course an incident may take keeps what a ledger must keep; a naive clock agrees on the next update."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from statuspage.rules.policy import DEFAULT_POLICIES, Policy
from statuspage.rules.promises import AFTERMATH, MET_BY, UPDATES, Event, Ledger, ledger
from statuspage.rules.vocabulary import EventKind, PromiseKind, PromiseState, Severity, Visibility

T0 = datetime(2028, 2, 28, 23, 30, tzinfo=UTC)
POLICIES: list[Policy] = [
    *(DEFAULT_POLICIES[severity] for severity in Severity),
    replace(DEFAULT_POLICIES[Severity.SEV1], first_update=timedelta(seconds=4), next_update=timedelta(seconds=6)),
    replace(DEFAULT_POLICIES[Severity.SEV2], first_update=None, direct_email=timedelta(days=2)),
]
spans = st.integers(min_value=0, max_value=3 * 86400).map(lambda seconds: timedelta(seconds=seconds))
short = st.integers(min_value=1, max_value=3 * 3600).map(lambda seconds: timedelta(seconds=seconds))
policies = st.sampled_from(POLICIES)
FINAL = {PromiseState.LATE, PromiseState.MISSED, PromiseState.WAIVED, PromiseState.WITHDRAWN}


class Course(RuleBasedStateMachine):
    """One incident, driven at random. ``due`` is the naive clock of its public updates."""

    @initialize(policy=policies, before=spans)
    def declare(self, policy: Policy, before: timedelta) -> None:
        self.now, self.policy, self.events = T0 + before, policy, list[Event]()
        self.open, self.has_posted, self.due = True, False, None
        self.before, self.after = Ledger((), ()), Ledger((), ())
        self.counts_from, self.by_word = T0, False
        if policy.first_update is not None:
            self.due = T0 + policy.first_update
        self.add(EventKind.DECLARED, occurred_at=T0)

    def add(self, kind: EventKind, **more: object) -> None:
        fields = {"occurred_at": self.now} | more
        number = len(self.events) + 1
        self.events.append(Event(number, kind, recorded_at=self.now, policy=self.policy, policy_id="p", **fields))  # type: ignore[arg-type]
        self.before, self.after = self.after, ledger(self.events, T0, Visibility.PUBLIC)

    @rule(span=short)
    def wait(self, span: timedelta) -> None:
        self.now += span

    @precondition(lambda self: self.open)
    @rule(ahead=st.none() | short, is_automatic=st.booleans(), is_down=st.booleans())
    def post(self, ahead: timedelta | None, is_automatic: bool, is_down: bool) -> None:
        self.has_posted, self.counts_from = True, None
        self.by_word = self.policy.next_update is None
        span = ahead or self.policy.next_update
        self.due = self.now + span if span else None
        by = self.now + ahead if ahead else None
        self.add(EventKind.POSTED, next_update_by=by, is_automatic=is_automatic, is_down=is_down, reason="Reason.")

    @rule(policy=policies)
    def regrade(self, policy: Policy) -> None:
        self.policy = policy
        span = policy.next_update if self.has_posted else policy.first_update
        if self.open and span is not None:
            if self.due is None:
                self.counts_from, self.by_word = None, False
            self.due = min(self.due or self.now + span, self.now + span)
        elif self.open and self.due is not None and self.due >= self.now and not self.by_word:
            self.due = None
        self.add(EventKind.REGRADED, reason="")

    @rule(back=spans)
    def correct(self, back: timedelta) -> None:
        moment = self.now - back
        if self.counts_from is not None and self.due is not None:
            shift = moment - self.counts_from
            if self.due >= self.now or shift < timedelta(0):
                self.due += shift
                self.counts_from = moment
        self.add(EventKind.DECLARATION_CORRECTED, occurred_at=moment, reason="Reason.")

    @precondition(lambda self: self.open)
    @rule(back=short)
    def resolve(self, back: timedelta) -> None:
        self.open, self.has_posted, self.due = False, True, None
        self.add(EventKind.RESOLVED, occurred_at=self.now - back)

    @precondition(lambda self: not self.open)
    @rule()
    def reopen(self) -> None:
        self.open, self.counts_from, self.by_word = True, None, False
        span = self.policy.first_update or self.policy.next_update
        self.due = self.now + span if span else None
        self.add(EventKind.REOPENED, reason="Reason.")

    @rule(kind=st.sampled_from([*MET_BY, EventKind.INTERNAL_UPDATE_POSTED]))
    def do_something_owed(self, kind: EventKind) -> None:
        self.add(kind)

    @rule(kind=st.sampled_from(PromiseKind))
    def waive(self, kind: PromiseKind) -> None:
        self.add(EventKind.WAIVED, promise_kind=kind, reason="Reason.")

    @invariant()
    def no_promise_is_lost_and_none_is_rewritten(self) -> None:
        event, after = self.events[-1], {promise.key: promise for promise in self.after.promises}
        for was in self.before.promises:
            promise = after[was.key]
            assert was.state not in FINAL or promise.state is was.state
            assert was.state is not PromiseState.KEPT or promise.state in (PromiseState.KEPT, PromiseState.LATE)
            assert was.met_at is None or promise.met_at == was.met_at
            assert promise.due_at <= was.due_at or event.reason
            assert promise.policy_id == was.policy_id
            if was.is_overdue(event.recorded_at):
                assert promise.state is not PromiseState.WITHDRAWN, "what is late can't be withdrawn"
                assert promise.state is not PromiseState.KEPT, "what is late can't be kept any more"
                assert promise.due_at <= was.due_at, "what is late gets no more time"

    @invariant()
    def states_agree_with_times(self) -> None:
        for promise in self.after.promises:
            assert (promise.state in (PromiseState.KEPT, PromiseState.LATE)) == (promise.met_at is not None)
            assert promise.is_open == (promise.settled_at is None)
            if promise.met_at is not None:
                assert (promise.state is PromiseState.LATE) == (promise.met_at > promise.due_at)

    @invariant()
    def at_most_one_update_is_owed_and_the_naive_clock_agrees(self) -> None:
        opened = [promise for promise in self.after.promises if promise.kind in UPDATES and promise.is_open]
        assert [promise.due_at for promise in opened] == ([self.due] if self.due is not None else [])

    @invariant()
    def nothing_of_the_aftermath_is_owed_while_it_goes_on(self) -> None:
        assert not self.open or not [p for p in self.after.promises if p.kind in AFTERMATH and p.is_open]

    @invariant()
    def the_past_is_not_computed_anew(self) -> None:
        assert self.after.changes[: len(self.before.changes)] == self.before.changes


Course.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestAnyCourse = Course.TestCase
