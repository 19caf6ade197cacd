"""The application behind the public layer: made late, bounded, never in the readers' way."""

import threading
from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.test import Client

from statuspage.web import late
from statuspage.web.late import LateApplication


def hello(_environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_it_is_made_once_by_whoever_asks_first() -> None:
    made: list[int] = []

    def make() -> Any:
        made.append(1)
        return hello

    application = LateApplication(make, 4, 4)
    application.prepare()
    threads = [threading.Thread(target=Client(application).get, args=("/",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Client(application).get("/").text == "hello"
    assert made == [1]


def test_one_that_could_not_be_made_is_tried_again() -> None:
    answers = iter([RuntimeError("not now"), hello])

    def make() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    application = LateApplication(make, 1, 0)
    with pytest.raises(RuntimeError):
        Client(application).get("/")
    assert Client(application).get("/").text == "hello"


@pytest.mark.parametrize("waiting", [0, 1], ids=["at once", "after a while"])
def test_above_its_places_it_says_that_it_is_busy(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "PATIENCE_SECONDS", 0.01)
    entered, leave = threading.Barrier(3), threading.Event()

    def hang(environ: Any, start_response: Any) -> Iterable[bytes]:
        entered.wait(10)
        leave.wait(10)
        return hello(environ, start_response)

    application = LateApplication(lambda: hang, 2, waiting)
    threads = [threading.Thread(target=Client(application).get, args=("/",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    answer = Client(application).get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    leave.set()
    for thread in threads:
        thread.join()


def test_who_finds_every_place_taken_waits_for_one() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(environ: Any, start_response: Any) -> Iterable[bytes]:
        entered.set()
        leave.wait(10)
        return hello(environ, start_response)

    application, answers = LateApplication(lambda: slow, 1, 1), list[str]()
    threads = [threading.Thread(target=lambda: answers.append(Client(application).get("/").text)) for _ in range(2)]
    threads[0].start()
    entered.wait(10)
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join()
    assert answers == ["hello", "hello"]
