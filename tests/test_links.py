"""Signed links: they name who may act, for one purpose, for as long as mails are kept."""

from dataclasses import replace

import pytest
from itsdangerous import URLSafeSerializer

from statuspage.links import Purpose, make_token, read_token
from statuspage.settings import Settings, load

OTHER_KEY = "another key that is long enough to be taken"


@pytest.fixture
def settings(tmp_path: object) -> Settings:
    return load({"DATA_DIR": str(tmp_path), "SECRET_KEY": "a key for the tests that is long enough to be taken"})


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_names_its_subject_for_its_purpose_alone(settings: Settings, purpose: Purpose) -> None:
    token = make_token(settings, purpose, "abc123def456")
    assert read_token(settings, purpose, token) == "abc123def456"
    assert [other for other in Purpose if read_token(settings, other, token)] == [purpose]


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_changed_token_names_nobody(settings: Settings, purpose: Purpose) -> None:
    token = make_token(settings, purpose, "abc123def456")
    for place in range(len(token)):
        for letter in {"0", "a", "-", "."} - {token[place]}:
            changed = token[:place] + letter + token[place + 1 :]
            # The last letter of base64 may hold bits that count for nothing.
            assert read_token(settings, purpose, changed) in (None, "abc123def456" if place == len(token) - 1 else None)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_of_another_installation_or_of_an_earlier_key(settings: Settings, purpose: Purpose) -> None:
    token = make_token(settings, purpose, "abc123def456")
    changed = replace(settings, secret_key=OTHER_KEY)
    assert read_token(changed, purpose, token) is None
    assert read_token(replace(changed, secret_key_fallbacks=(settings.secret_key,)), purpose, token) == "abc123def456"


def test_links_of_mails_sent_by_earlier_versions_still_work(settings: Settings) -> None:
    token = URLSafeSerializer(settings.secret_key, salt="statuspage.unsubscribe").dumps("abc123def456")
    assert read_token(settings, Purpose.UNSUBSCRIBE, str(token)) == "abc123def456"


@pytest.mark.parametrize(
    "token", ["", ".", "abc123def456", "abc123def456.", "ä.ö", "a" * 501, "\0.\0", "abc123def456.é"]
)
def test_what_is_no_token_names_nobody(settings: Settings, token: str) -> None:
    assert [purpose for purpose in Purpose if read_token(settings, purpose, token)] == []
