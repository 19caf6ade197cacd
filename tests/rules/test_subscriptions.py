"""Which mailbox, which endpoint, which choice: the words alone decide."""

import string
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.subscriptions import (
    Choice,
    check_endpoint,
    identity,
    mailbox_key,
    parse_choice,
    suppression_keys,
)
from statuspage.rules.vocabulary import RuleBroken, SubscriptionKind, SubscriptionMethod

EMAIL, WEBHOOK, SLACK, TEAMS, DISCORD = SubscriptionMethod


@pytest.mark.parametrize(
    ("method", "url", "kept"),
    [
        (WEBHOOK, "https://hooks.example.com/updates", "https://hooks.example.com/updates"),
        (WEBHOOK, "HTTPS://Hooks.Example.COM:443/Updates?key=A%20b#top", "https://hooks.example.com/Updates?key=A%20b"),
        (WEBHOOK, "https://example.com", "https://example.com"),
        (WEBHOOK, "https://xn--bcher-kva.example/x", "https://xn--bcher-kva.example/x"),
        (WEBHOOK, "https://1-2.3com.example/", "https://1-2.3com.example/"),
        (WEBHOOK, "https://local.example.com/", "https://local.example.com/"),
        (SLACK, "https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/services/T0/B0/x"),
        (DISCORD, "https://discord.com/api/webhooks/1/x", "https://discord.com/api/webhooks/1/x"),
        (DISCORD, "https://discordapp.com/api/webhooks/1/x", "https://discordapp.com/api/webhooks/1/x"),
        (TEAMS, "https://acme.webhook.office.com/webhookb2/a@b/x", "https://acme.webhook.office.com/webhookb2/a@b/x"),
        (TEAMS, "https://prod-1.westus.logic.azure.com:443/w?sig=x", "https://prod-1.westus.logic.azure.com/w?sig=x"),
        (TEAMS, "https://x.1.environment.api.powerplatform.com/p", "https://x.1.environment.api.powerplatform.com/p"),
        (EMAIL, "https://whatever.example/", ""),
        (EMAIL, "", ""),
    ],
)
def test_an_endpoint_that_may_be_posted_to_is_kept(method: SubscriptionMethod, url: str, kept: str) -> None:
    assert check_endpoint(method, url) == kept


# H46 and H50 of the hostile cases, as far as they can be told without asking for the name.
HOSTS = [
    *("127.0.0.1", "127.1", "0", "0x7f000001", "2130706433", "017700000001", "0x7f.1", "①②⑦.⓪.⓪.①", "127。0。0。1"),
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "printer.local", "db.internal", "x.home.arpa", "router"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "169.254.169.254", "100.64.0.1", "10.0.0.8", "192.0.0.8"),
    *("198.18.0.1", "224.0.0.1", "[fd00::1]", "[fe80::1%25lo]", "[fec0::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    *("8.8.8.8", "example.0x", "example.com.", "a..example.com", ".example.com", "-a.example.com", "a-.example.com"),
    *("exa mple.com", "example.com\t", "exam\nple.com", "bücher.example", "a" * 64 + ".example", "%31.example", ""),
    *("example.com%2f.evil.example", "a.example\\@127.0.0.1", "[", "[x]", "example.com:0", "example.com:８０"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_a_number_or_somebodys_own_or_no_name_is_refused(host: str) -> None:
    assert refused(WEBHOOK, f"https://{host}/updates")


@pytest.mark.parametrize(
    "url",
    [
        "",
        " https://example.com/",
        "https://example.com/ ",
        "http://example.com/",
        "//example.com/",
        "https:example.com",
        "https:/example.com/",
        "https:///x",
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "unix:/run/x",
        "javascript:alert(1)",
        "https://user@example.com/",
        "https://user:pw@example.com/",
        "https://@example.com/",
        *(f"https://example.com:{port}/" for port in ("22", "25", "6379", "80", "8443", "99999", "-1", "x")),
        "https://example.com/\r\nHost: evil.example",
        "https://example.com/\x00",
        "https://example.com/\u2028",
        "https://example.com/é",
        "https://example.com/{x}",
        "https://example.com/" + "x" * 1_000,
    ],
)
def test_what_is_no_plain_https_address_is_refused(url: str) -> None:
    assert refused(WEBHOOK, url)


@pytest.mark.parametrize(
    ("method", "url"),
    [
        (SLACK, "https://example.com/services/T0/B0/x"),
        (SLACK, "https://hooks.slack.com.evil.example/services"),
        (SLACK, "https://evilhooks.slack.com/services"),
        (DISCORD, "https://discord.com/invite/x"),
        (DISCORD, "https://evil.discord.com/api/webhooks/1/x"),
        (TEAMS, "https://webhook.office.com/x"),
        (TEAMS, "https://evilwebhook.office.com/x"),
        (TEAMS, "https://a.webhook.office.com.evil.example/x"),
    ],
)
def test_a_chat_rooms_address_is_its_providers_own(method: SubscriptionMethod, url: str) -> None:
    assert refused(method, url)


def refused(method: SubscriptionMethod, url: str) -> str:
    with pytest.raises(RuleBroken) as broken:
        check_endpoint(method, url)
    assert set(broken.value.errors) == {"endpoint"}
    sentence: str = broken.value.errors["endpoint"]
    assert sentence.endswith(".")
    return sentence


@given(
    st.text(max_size=60)
    | st.builds("https://{}/{}".format, st.text(max_size=40), st.text(max_size=20))
    | st.builds("https://{}".format, st.text(string.ascii_letters + string.digits + ".:@[]%\\/#?-x0", max_size=40))
)
def test_whatever_is_typed_is_refused_or_read_the_same_way_again(url: str) -> None:
    try:
        kept = check_endpoint(WEBHOOK, url)
    except RuleBroken:
        return
    parts = urlsplit(kept)
    assert (parts.scheme, parts.username, parts.port, parts.fragment) == ("https", None, None, "")
    assert parts.netloc == parts.hostname
    assert kept.isascii()
    assert kept.isprintable()
    assert not set(kept) & set(' \\"<>')
    assert not (parts.hostname or "").rpartition(".")[2].isdigit()
    assert check_endpoint(WEBHOOK, kept) == kept


@pytest.mark.parametrize(
    "spelling",
    ["ada@example.com", "ADA@Example.COM", "a.d.a@example.com", "ada+x@example.com", "A.da+x+y.z@EXAMPLE.com"],
)
def test_all_spellings_of_a_mailbox_are_one(spelling: str) -> None:
    assert mailbox_key(spelling) == "ada@example.com"


@given(st.emails(), st.text(string.ascii_letters, max_size=8))
def test_tags_dots_and_capitals_never_lead_to_another_mailbox(email: str, tag: str) -> None:
    local, _, domain = email.rpartition("@")
    key = mailbox_key(email)
    assert mailbox_key(f"{local}+{tag}@{domain}") == key
    assert mailbox_key(f"{local.replace('.', '')}@{domain.upper()}".upper()) == key
    assert mailbox_key(key) == key


def test_one_thing_can_be_signed_up_once() -> None:
    first = identity("Ada@example.com", WEBHOOK, "https://a.example/x")
    assert first["unique_key"] == identity("ada@EXAMPLE.com", WEBHOOK, "https://a.example/x")["unique_key"]
    others = [
        identity("ada@example.com", WEBHOOK, "https://a.example/y"),
        identity("bea@example.com", WEBHOOK, "https://a.example/x"),
        identity("ada@example.com", SLACK, "https://a.example/x"),
        identity("ada@example.com"),
    ]
    assert len({each["unique_key"] for each in [first, *others]}) == 5


@pytest.mark.parametrize(
    ("scope", "component_ids", "kinds", "choice"),
    [
        ("all", [], ["incidents"], Choice(None, frozenset({SubscriptionKind.INCIDENTS}))),
        ("all", ["a"], ["maintenance"], Choice(None, frozenset({SubscriptionKind.MAINTENANCE}))),
        ("some", ["a", "b", "a"], ["incidents"], Choice(frozenset("ab"), frozenset({SubscriptionKind.INCIDENTS}))),
        ("none", ["a"], ["incidents"], Choice(frozenset(), frozenset({SubscriptionKind.INCIDENTS}))),
    ],
)
def test_a_form_makes_a_choice(scope: str, component_ids: list[str], kinds: list[str], choice: Choice) -> None:
    assert parse_choice(scope, component_ids, kinds) == choice


@pytest.mark.parametrize(
    ("scope", "component_ids", "kinds", "fields"),
    [
        ("some", [], ["incidents"], {"components"}),
        ("", ["a"], ["incidents"], {"components"}),
        ("every", ["a"], ["incidents"], {"components"}),
        ("all", [], [], {"kinds"}),
        ("all", [], ["gossip"], {"kinds"}),
        ("some", [], [], {"components", "kinds"}),
    ],
)
def test_what_is_missing_is_said_all_at_once(
    scope: str, component_ids: list[str], kinds: list[str], fields: set[str]
) -> None:
    with pytest.raises(RuleBroken) as broken:
        parse_choice(scope, component_ids, kinds)
    assert set(broken.value.errors) == fields


def test_an_erased_address_is_known_by_every_key_and_by_no_other_installations() -> None:
    names = suppression_keys("Ada@example.com", ["new key", "old key"])
    assert names[0] == "ada@example.com"
    assert names[2:] == suppression_keys("ada@EXAMPLE.com", ["old key"])[1:]
    assert len(set(names)) == 3
    assert not set(names[1:]) & set(suppression_keys("ada@example.com", ["another"]))
    assert all(name.startswith("hmac:") and "ada" not in name for name in names[1:])
