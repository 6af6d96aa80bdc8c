"""The balance of servers as values: what every course of requests, failures and looks at health must keep."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ge_engine.llm.balance import LONGEST_ASIDE, LONGEST_ASKED, Balance, balanced

MOST, PAUSE = 3, 0.5
STEPS = st.lists(
    st.tuples(st.sampled_from(("take", "answer", "fail", "refuse", "look", "back")), st.integers(0, 3)),
    max_size=60,
)


class Course:
    """A balance, and the requests that are on their way: each its server and when it was sent."""

    def __init__(self, servers: int) -> None:
        self.balance: Balance = balanced(servers, MOST, PAUSE)
        self.on_the_way: list[tuple[int, float]] = []
        self.now = 0.0

    def take(self, _: int) -> None:
        if (chosen := self.balance.chosen()) is not None:
            self.balance = self.balance.taken(chosen)
            self.on_the_way.append((chosen, self.now))

    def answer(self, which: int) -> None:
        if self.on_the_way:
            server, _ = self.on_the_way.pop(which % len(self.on_the_way))
            self.balance = self.balance.answered(server).released(server)

    def fail(self, which: int, refuses: bool = False) -> None:
        if self.on_the_way:
            server, sent_at = self.on_the_way.pop(which % len(self.on_the_way))
            self.balance = self.balance.failed(server, sent_at, self.now, refuses=refuses).released(server)

    def refuse(self, which: int) -> None:
        self.fail(which, refuses=True)

    def look(self, which: int) -> None:
        server = which % len(self.balance.standings)
        if not self.balance.standings[server].in_service:
            self.balance = self.balance.failed(server, self.now, self.now)

    def back(self, which: int) -> None:
        self.balance = self.balance.back(which % len(self.balance.standings))


def course_of(servers: int, steps: list[tuple[str, int]]) -> Course:
    course = Course(servers)
    for step, which in steps:
        course.now += 0.1
        getattr(course, step)(which)
    return course


@given(st.integers(1, 4), STEPS)
def test_a_request_that_is_lost_counted_twice_or_one_too_many(
    servers: int, steps: list[tuple[str, int]]
) -> None:
    course = course_of(servers, steps)
    for number, one in enumerate(course.balance.standings):
        assert one.in_work == sum(server == number for server, _ in course.on_the_way) <= MOST


@given(st.integers(1, 4), STEPS)
def test_a_choice_that_is_not_the_server_with_the_fewest(servers: int, steps: list[tuple[str, int]]) -> None:
    balance = course_of(servers, steps).balance
    chosen, standings = balance.chosen(), balance.standings
    serving = [one for one in standings if one.in_service]
    candidates = [one for one in serving or standings if one.in_work < MOST]
    if chosen is None:
        assert not candidates
        return
    assert standings[chosen] in candidates
    if serving:
        assert all(
            (standings[chosen].in_work, chosen) <= (one.in_work, n)
            for n, one in enumerate(standings)
            if one in candidates
        )
    else:
        assert standings[chosen].due == min(one.due for one in candidates)


@given(st.integers(1, 4), STEPS)
def test_a_server_that_is_out_for_ever_or_back_too_soon(servers: int, steps: list[tuple[str, int]]) -> None:
    course = course_of(servers, steps)
    for number, one in enumerate(course.balance.standings):
        if not one.in_service:
            assert one.aside_at + PAUSE <= one.due <= one.aside_at + LONGEST_ASIDE
            again = course.balance.back(number)
            assert again.standings[number].in_service
            assert again.standings[number].failures == one.failures, "health alone forgets failures"
            assert course.balance.answered(number).standings[number].failures == 0


@given(st.integers(1, MOST))
def test_requests_side_by_side_that_fail_together_and_count_as_many_failures(count: int) -> None:
    balance = balanced(2, MOST, PAUSE)
    for _ in range(count):
        balance = balance.failed(0, sent_at=1.0, now=2.0)
    assert balance.standings[0].failures == 1
    assert balance.standings[0].due == 2.0 + PAUSE
    assert balance.back(0).failed(0, sent_at=1.5, now=3.0).standings[0].in_service, "old news"
    assert balance.back(0).failed(0, sent_at=2.5, now=3.0).standings[0].due == 3.0 + 2 * PAUSE


def test_a_pause_that_does_not_grow_or_has_no_end() -> None:
    balance, pauses = balanced(2, MOST, PAUSE), []
    for now in range(1, 200):
        balance = balance.failed(0, sent_at=now, now=now + 0.5)
        pauses.append(balance.standings[0].due - now - 0.5)
    assert pauses[:4] == [PAUSE, 2 * PAUSE, 4 * PAUSE, 8 * PAUSE]
    assert pauses[-1] == LONGEST_ASIDE
    asked = balance.failed(1, sent_at=1.0, now=1.0, least=1e300)
    assert asked.standings[1].due == 1.0 + LONGEST_ASKED


@given(st.lists(st.booleans(), min_size=1, max_size=4))
def test_a_hope_that_is_given_up_while_one_server_may_answer(refusing: list[bool]) -> None:
    balance = balanced(len(refusing), MOST, PAUSE)
    for number, refuses in enumerate(refusing):
        assert not balance.is_hopeless
        balance = balance.failed(number, sent_at=1.0, now=2.0, refuses=refuses)
    assert balance.is_hopeless == all(refusing)
    assert not balance.back(0).is_hopeless
