"""Programs that use the API, and short ways to what they do most."""

from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import func, select
from werkzeug.test import TestResponse

from statuspage import clock
from statuspage.db import Base, db


class Requester(Protocol):
    """Somebody who makes requests."""

    def request(self, method: str, path: str, **options: Any) -> TestResponse: ...


class Program:
    """A program with a key of the API; it sends JSON."""

    def __init__(self, visitor: Requester, key: str, page_id: str) -> None:
        self._visitor = visitor
        self.key = key
        self.page_id = page_id

    def send(self, method: str, path: str, **options: Any) -> TestResponse:
        """Make a request to a path below the page's."""
        headers = {"Authorization": f"OAuth {self.key}", **options.pop("headers", {})}
        return self._visitor.request(method, f"/v1/pages/{self.page_id}{path}", headers=headers, **options)

    def get(self, path: str, status: int = 200) -> Any:
        return self._checked(self.send("GET", path), status)

    def post(self, path: str, body: object, status: int = 201, **headers: str) -> Any:
        return self._checked(self.send("POST", path, json=body, headers=_named(headers)), status)

    def patch(self, path: str, body: object, status: int = 200, **headers: str) -> Any:
        return self._checked(self.send("PATCH", path, json=body, headers=_named(headers)), status)

    def put(self, path: str, body: object, status: int = 200) -> Any:
        return self._checked(self.send("PUT", path, json=body), status)

    def _checked(self, answer: TestResponse, status: int) -> Any:
        assert answer.status_code == status, answer.text
        assert answer.mimetype == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
        return answer.get_json()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def declared(writer: Program, body: dict[str, Any], /, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = writer.post("/incidents", {"incident": body | more})
    return made


def patch(writer: Program, incident: dict[str, Any], status: int = 200, /, **changes: Any) -> Any:
    return writer.patch(f"/incidents/{incident['id']}", {"incident": changes}, status)


def owed(incident: dict[str, Any]) -> dict[str, str]:
    return {each["kind"]: each["state"] for each in incident["promises"]}


def counts() -> dict[str, int]:
    """How many rows every table has."""
    db.session.rollback()
    return {
        table.name: db.session.scalar(select(func.count()).select_from(table)) or 0
        for table in Base.metadata.sorted_tables
    }


def naming(component_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Put a component's id in the place of ``ID``."""
    states = changes.get("components")
    if not isinstance(states, dict):
        return changes
    return {**changes, "components": {component_id if key == "ID" else key: word for key, word in states.items()}}


def soon(minutes: int = 20) -> str:
    return (clock.now() + timedelta(minutes=minutes)).isoformat()
