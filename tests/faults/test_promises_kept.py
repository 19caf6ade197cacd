"""The whole service with a policy in seconds: silence is followed by nudges, escalation and a holding update.

A black box: real processes, a real SMTP server, declared and read by the API.
"""

import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import mailservers, servers
from tests.browser import installation
from tests.browser.installation import ADMIN, Installation
from tests.mailservers import MailServer
from tests.nursery import Nursery

PEOPLE = {role: f"{role.replace('_', '-')}@example.com" for role in ("commander", "comms_lead", "backup")}
READER = "customer@example.com"
POLICY: dict[str, Any] = {
    "first_update": "PT4S",
    "next_update": "PT6S",
    "direct_email": None,
    "internal_update": None,
    "post_incident_email": "PT4S",
    "post_mortem": None,
    "public_post_mortem_if_down": None,
    "nudges": [
        {"at": "-PT2S", "to": "comms_lead"},
        {"at": "PT0S", "to": "commander"},
        {"at": "PT3S", "to": "backup"},
        {"at": "PT5S", "to": "everyone"},
    ],
    "reminders": [],
    "holding_update": {"enabled": True, "at": "PT1S", "text": "More by {next_update_by}.", "max_in_a_row": 1},
}


class Program:
    """A program that speaks to the running service."""

    def __init__(self, service: Installation, key: str) -> None:
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"OAuth {key}"
        self._url = f"{service.url}/v1/pages"
        self._url += f"/{self.send('GET', '')[0]['id']}"

    def send(self, method: str, path: str, body: object = None) -> Any:
        answer = self._session.request(method, self._url + path, json=body, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def owed(self, incident_id: str) -> list[tuple[str, str]]:
        promises = self.send("GET", f"/incidents/{incident_id}")["promises"]
        return sorted((each["kind"], each["state"]) for each in promises)


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("smtp", tmp_path / "smtp") as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, smtp: MailServer, nursery: Nursery) -> Iterator[Installation]:
    with installation.running(nursery, tmp_path, SMTP_URL=smtp.url, MAIL_FROM="status@example.com") as running:
        for address in PEOPLE.values():
            running.run("user", "add", address, "--role", "comms")
        (tmp_path / "customers.csv").write_text(f"email,components\n{READER},\n")
        running.run("import", "customers", str(tmp_path / "customers.csv"))
        yield running


def wait_until(
    told: list[tuple[str, str]], smtp: MailServer, count: int, seconds: float = servers.PATIENCE
) -> list[EmailMessage]:
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(smtp.mails()) < count:
        time.sleep(0.1)
    mails = smtp.mails()
    told[:] = [(str(mail["To"]), str(mail["Subject"])) for mail in mails]
    assert len(mails) >= count, told
    return mails


def page_of(service: Installation, incident_id: str) -> str:
    return requests.get(f"{service.url}/incidents/{incident_id}", timeout=servers.PATIENCE).text


def test_silence_is_not_let_slip(service: Installation, smtp: MailServer) -> None:
    program = Program(service, service.run("token", "add", "robot", "--scope", "admin").strip())
    program.send("PUT", "/policies/SEV1", POLICY)
    component = next(each["id"] for each in program.send("GET", "/components") if not each["group"])
    incident = program.send("POST", "/incidents", {"incident": {
        "name": "Sign-in fails", "severity": "SEV1", "components": {component: "major_outage"}, "roles": PEOPLE,
    }})  # fmt: skip
    path, told = f"/incidents/{incident['id']}", list[tuple[str, str]]()
    assert program.owed(incident["id"]) == [("first_update", "open")]

    # Nobody says a word: the lead, the commander, the backup and then everyone are told, each once, in this order.
    wait_until(told, smtp, 7)
    first = [to for to, subject in told if "first public update" in subject and "Sign-in fails" in subject]
    assert first[:3] == [PEOPLE["comms_lead"], PEOPLE["commander"], PEOPLE["backup"]]
    assert sorted(first[3:]) == sorted([*PEOPLE.values(), ADMIN])

    # A person speaks, then nobody: nudge, escalation, and the holding update, marked as automatic.
    program.send("PATCH", path, {"incident": {"body": "We are looking into it."}})
    end = time.monotonic() + servers.PATIENCE
    while time.monotonic() < end and len(program.send("GET", path)["incident_updates"]) < 2:
        time.sleep(0.2)
    newest = program.send("GET", path)["incident_updates"][0]
    assert newest["body"].startswith("More by ")
    # The worker publishes it next.
    while time.monotonic() < end and "More by " not in (shown := page_of(service, incident["id"])):
        time.sleep(0.1)
    assert shown.partition("<body>")[2].count("More by ") == 1
    nudged = [str(mail["To"]) for mail in smtp.mails() if "next public update" in str(mail["Subject"])]
    assert nudged[:2] == [PEOPLE["comms_lead"], PEOPLE["commander"]]
    # One in a row is allowed: the second falls overdue without another.
    time.sleep(9)
    assert len(program.send("GET", path)["incident_updates"]) == 2

    # Resolved: the post-incident e-mail is owed, and its silence is followed too.
    program.send("PATCH", path, {"incident": {"status": "resolved", "body": "It is over."}})
    assert ("post_incident_email", "open") in program.owed(incident["id"])
    end = time.monotonic() + servers.PATIENCE
    while time.monotonic() < end and sum("post-incident e-mail" in str(m["Subject"]) for m in smtp.mails()) < 7:
        time.sleep(0.2)
    owed = [str(mail["To"]) for mail in smtp.mails() if "post-incident e-mail" in str(mail["Subject"])]
    assert owed[:3] == [PEOPLE["comms_lead"], PEOPLE["commander"], PEOPLE["backup"]]

    # Written, reviewed, sent: to the customer, late as it is.
    email = f"{path}/post_incident_email"
    program.send("POST", email, {
        "author": PEOPLE["comms_lead"], "what_happened": "A queue filled up.", "prevention": "We watch it now.",
    })  # fmt: skip
    program.send("POST", f"{email}/review", {"reviewer": PEOPLE["commander"], "approve": True})
    program.send("POST", f"{email}/send", {})
    smtp.wait_for(1, READER)
    assert [str(mail["Subject"]) for mail in smtp.mails() if mail["To"] == READER] == [
        "[Larkspur status] Sign-in fails: what happened"
    ]
    assert ("post_incident_email", "late") in program.owed(incident["id"])

    report = program.send("GET", "/reports/promises")["severities"]["SEV1"]["promises"]
    assert report["first_update"]["late"] >= 1
    assert report["next_update"]["late_automatically"] == 1
    assert report["post_incident_email"]["late"] == 1
