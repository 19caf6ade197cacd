"""Every setting is checked at the start; a wrong one is named in one sentence."""

from pathlib import Path

import pytest

from statuspage.settings import GitHub, SettingsError, load, load_folder

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "var"


def test_nothing_needs_to_be_set(folder: Path) -> None:
    settings = load({"DATA_DIR": str(folder)})
    assert settings.database_url == f"sqlite:///{folder}/statuspage.db"
    assert (settings.embedded, settings.public_url, settings.secure) == (True, "http://127.0.0.1:8000", False)
    assert (settings.host, settings.port, settings.web_workers, settings.trusted_proxies) == ("127.0.0.1", 8000, 1, 0)
    assert (settings.sendgrid_api_key, settings.smtp) == ("", None)
    assert (settings.site_dir, settings.outbox_dir) == (folder / "site", folder / "outbox")


def test_the_secret_key_is_made_once_and_kept_from_others(folder: Path) -> None:
    first = load({"DATA_DIR": str(folder)}).secret_key
    assert load({"DATA_DIR": str(folder)}).secret_key == first
    assert len(first) == 64
    assert (folder / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in folder.iterdir()] == ["secret_key"]


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"PORT": "http"}, "PORT must be a whole number from 1 to 65535, not 'http'."),
        ({"PORT": "0"}, "PORT must be a whole number from 1 to 65535, not '0'."),
        ({"PORT": "70000"}, "PORT must be a whole number from 1 to 65535, not '70000'."),
        ({"WEB_WORKERS": "-1"}, "WEB_WORKERS must be a whole number from 1 to 64, not '-1'."),
        ({"TRUSTED_PROXIES": "11"}, "TRUSTED_PROXIES must be a whole number from 0 to 10, not '11'."),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL must begin with sqlite:/// or postgresql://."),
        ({"DATABASE_URL": "postgresql://x/y"}, "SECRET_KEY must be set when DATABASE_URL is PostgreSQL."),
        ({"SECRET_KEY": "short"}, "SECRET_KEY must have at least 32 characters."),
        ({"SECRET_KEY": "a key, with a comma " * 2}, "SECRET_KEY must not hold a comma"),
        ({"MAIL_FROM": "nobody"}, "MAIL_FROM must be an e-mail address such as status@example.com"),
        ({"MAIL_FROM": "a@example.com\r\nBcc: b@example.com"}, "MAIL_FROM must be an e-mail address"),
        ({"SENDGRID_API_KEY": "x"}, "MAIL_FROM must be set together with SENDGRID_API_KEY."),
        ({"SMTP_URL": "smtp://host"}, "MAIL_FROM must be set together with SMTP_URL."),
        ({"SENDGRID_URL": "https://x.example"}, "SENDGRID_API_KEY must be set together with SENDGRID_URL."),
        (
            {"SENDGRID_API_KEY": "x", "SMTP_URL": "smtp://host", "MAIL_FROM": "a@example.com"},
            "SENDGRID_API_KEY and SMTP_URL are both set: please keep one.",
        ),
        ({"ADMIN_EMAIL": "root"}, "ADMIN_EMAIL must be an e-mail address, not 'root'."),
        ({"GUARD_ALLOW": "127.0.0.1:8080"}, "GUARD_ALLOW opens private networks to strangers and is for tests only"),
        ({"GUARD_ALLOW": "localhost:80", "STATUSPAGE_TESTING": "1"}, "GUARD_ALLOW must hold places such as 127.0.0.1"),
        ({"GUARD_ALLOW": "127.0.0.1", "STATUSPAGE_TESTING": "1"}, "GUARD_ALLOW must hold places such as 127.0.0.1"),
        ({"STATUSPAGE_TESTING": "yes"}, "STATUSPAGE_TESTING must be 1 or not be set at all."),
        ({"PUBLISH_TO": "/srv/copy"}, "PUBLISH_TO must look like s3://bucket/folder, gs://bucket/folder"),
        ({"PUBLISH_TO": "file://srv/copy"}, "PUBLISH_TO must look like"),
        ({"PUBLISH_TO": "file:///"}, "PUBLISH_TO must look like"),
        ({"PUBLISH_TO": "s3://"}, "PUBLISH_TO must look like"),
        ({"PUBLISH_TO": "s3://key:secret@bucket"}, "PUBLISH_TO must look like"),
        ({"PUBLISH_TO": "s3://bucket?region=x"}, "PUBLISH_TO must look like"),
        ({"PUBLISH_TO": "https://example.com"}, "PUBLISH_TO must look like"),
        (
            {"PUBLISH_TO": "s3://bucket", "AWS_ACCESS_KEY_ID": "a"},
            "PUBLISH_TO: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together.",
        ),
        ({"PUBLISH_TO": "s3://bucket", "AWS_ENDPOINT_URL": "s3.example.com"}, "AWS_ENDPOINT_URL must be an address"),
        (
            {"PUBLISH_TO": "s3://bucket", "AWS_ENDPOINT": "http://s3.example.com"},
            "AWS_ENDPOINT would send the published site's credentials in the clear: please use https.",
        ),
        ({"GITHUB_TOKEN": "t"}, "GITHUB_REPOSITORY must be set together with GITHUB_TOKEN."),
        ({"GITHUB_REPOSITORY": "a/b"}, "GITHUB_TOKEN must be set together with GITHUB_REPOSITORY."),
        (
            {"GITHUB_URL": "https://github.example.com/api/v3"},
            "GITHUB_REPOSITORY must be set together with GITHUB_URL.",
        ),
        ({"GITHUB_REPOSITORY": "a/..", "GITHUB_TOKEN": "t"}, "GITHUB_REPOSITORY must look like OWNER/NAME."),
        ({"GITHUB_REPOSITORY": "https://github.com/a/b", "GITHUB_TOKEN": "t"}, "GITHUB_REPOSITORY must look like"),
        ({"GITHUB_REPOSITORY": "a/b", "GITHUB_TOKEN": "two words"}, "GITHUB_TOKEN must be one word"),
        (
            {"GITHUB_REPOSITORY": "a/b", "GITHUB_TOKEN": "t", "GITHUB_URL": "github.example.com"},
            "GITHUB_URL must be an address such as https://github.example.com/api/v3.",
        ),
        (
            {"GITHUB_REPOSITORY": "a/b", "GITHUB_TOKEN": "t", "GITHUB_URL": "http://github.example.com"},
            "GITHUB_URL would send the token in the clear: please use https.",
        ),
        ({"PORT_FILE": "/nowhere/at/all"}, "PORT_FILE can't be read: "),
        ({"PORT": "8000", "PORT_FILE": "x"}, "PORT and PORT_FILE are both set: please keep one."),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(environ: dict[str, str], sentence: str, folder: Path) -> None:
    with pytest.raises(SettingsError) as error:
        load({"DATA_DIR": str(folder)} | environ)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("s3://bucket/folder/", "s3://bucket/folder"),
        ("gs://bucket", "gs://bucket"),
        ("az://container/status", "az://container/status"),
        ("file:///srv/a%20copy", "file:///srv/a%20copy"),
    ],
)
def test_the_site_is_copied_where_it_is_wanted(target: str, kept: str, folder: Path) -> None:
    environ = {"DATA_DIR": str(folder), "PUBLISH_TO": target, "AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}
    assert load(environ).publish_to == kept


def test_a_repository_for_action_items(folder: Path) -> None:
    environ = {"GITHUB_REPOSITORY": "larkspur/work.items", "GITHUB_TOKEN": "a-token"}
    assert load({"DATA_DIR": str(folder)} | environ).github == GitHub("larkspur/work.items", "a-token")
    enterprise = environ | {"GITHUB_URL": "https://github.example.com/api/v3/"}
    loaded = load({"DATA_DIR": str(folder)} | enterprise).github
    assert loaded is not None
    assert loaded.url == "https://github.example.com/api/v3"
    assert "a-token" not in repr(loaded)
    assert load({"DATA_DIR": str(folder)}).github is None


def test_the_site_is_not_copied_into_itself(folder: Path) -> None:
    with pytest.raises(SettingsError, match="PUBLISH_TO must lead out of DATA_DIR"):
        load({"DATA_DIR": str(folder), "PUBLISH_TO": f"file://{folder}/site/copy"})


def test_an_emergency_needs_no_other_setting_than_where_the_site_is(folder: Path) -> None:
    wrong = {"DATABASE_URL": "mysql://x", "PORT": "8000", "MAIL_FROM": "nobody", "SECRET_KEY": "short"}
    found = load_folder({"DATA_DIR": str(folder)} | wrong)
    assert (found.site_dir, found.public_url, found.publish_to) == (folder / "site", "http://127.0.0.1:8000", "")
    assert not folder.exists()
    with pytest.raises(SettingsError, match="--to must look like"):
        load_folder({"DATA_DIR": str(folder)}, "elsewhere")


@pytest.mark.parametrize(
    "address",
    [
        "status.example.com",
        "ftp://a.example",
        "https://a.example/status",
        "https://u:p@a.example",
        "https://",
        "http://a:x",
    ],
)
def test_a_public_address_is_a_host_without_a_path(address: str, folder: Path) -> None:
    with pytest.raises(SettingsError, match="PUBLIC_URL must be an address such as"):
        load({"DATA_DIR": str(folder), "PUBLIC_URL": address})


def test_a_public_address_loses_its_slash_and_its_capitals(folder: Path) -> None:
    settings = load({"DATA_DIR": str(folder), "PUBLIC_URL": "https://Status.Example.com/"})
    assert (settings.public_url, settings.public_host) == ("https://status.example.com", "status.example.com")
    assert settings.secure


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 587, "", "", "none")),
        ("smtp://u:p%40ss@mail.example.com:25?starttls=required", ("mail.example.com", 25, "u", "p@ss", "required")),
        ("smtps://u:p@mail.example.com", ("mail.example.com", 465, "u", "p", "implicit")),
    ],
)
def test_an_smtp_server(url: str, expected: tuple[str, int, str, str, str], folder: Path) -> None:
    server = load({"DATA_DIR": str(folder), "SMTP_URL": url, "MAIL_FROM": "Status <a@example.com>"}).smtp
    assert server is not None
    assert (server.host, server.port, server.user, server.password, server.tls) == expected


@pytest.mark.parametrize(
    "url", ["mail.example.com", "http://x", "smtp://u@x", "smtp://x?starttls=maybe", "smtp://x?tls=1", "smtp://x:y"]
)
def test_a_malformed_smtp_server_is_refused(url: str, folder: Path) -> None:
    with pytest.raises(SettingsError, match="SMTP_URL must look like smtp://"):
        load({"DATA_DIR": str(folder), "SMTP_URL": url, "MAIL_FROM": "a@example.com"})


@pytest.mark.parametrize(("query", "connections"), [("", 4), ("?connections=1", 1), ("?connections=32", 32)])
def test_the_number_of_connections_to_an_smtp_server(query: str, connections: int, folder: Path) -> None:
    server = load({"DATA_DIR": str(folder), "SMTP_URL": f"smtp://x{query}", "MAIL_FROM": "a@example.com"}).smtp
    assert server is not None
    assert server.connections == connections


@pytest.mark.parametrize("connections", ["0", "33", "-1", "four", "1&connections=2"])
def test_a_number_of_connections_that_makes_no_sense_is_refused(connections: str, folder: Path) -> None:
    url = f"smtp://x?connections={connections}"
    with pytest.raises(SettingsError, match="SMTP_URL's connections must be a whole number from 1 to 32"):
        load({"DATA_DIR": str(folder), "SMTP_URL": url, "MAIL_FROM": "a@example.com"})


def test_a_secret_can_come_from_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    settings = load({"DATA_DIR": str(folder), "SECRET_KEY_FILE": str(tmp_path / "key")})
    assert settings.secret_key == KEY


def test_a_damaged_secret_key_is_not_replaced_in_silence(folder: Path) -> None:
    folder.mkdir()
    (folder / "secret_key").write_text("short", encoding="utf-8")
    with pytest.raises(SettingsError, match="is damaged: please restore it or remove the file"):
        load({"DATA_DIR": str(folder)})


def test_a_data_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="DATA_DIR can't be made"):
        load({"DATA_DIR": str(tmp_path / "file" / "var")})


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_goes_by_its_driver(scheme: str, folder: Path) -> None:
    settings = load({"DATA_DIR": str(folder), "DATABASE_URL": f"{scheme}://u:p@h/d", "SECRET_KEY": KEY})
    assert (settings.database_url, settings.embedded) == ("postgresql+psycopg://u:p@h/d", False)


WEBHOOK_KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="


def test_the_key_of_the_event_webhook_is_taken_as_shown_or_as_a_file(folder: Path) -> None:
    pem = f"-----BEGIN PUBLIC KEY-----\n{WEBHOOK_KEY[:64]}\n{WEBHOOK_KEY[64:]}\n-----END PUBLIC KEY-----"
    for text in (WEBHOOK_KEY, f" {WEBHOOK_KEY}\n", pem):
        assert load({"DATA_DIR": str(folder), "SENDGRID_WEBHOOK_KEY": text}).sendgrid_webhook_key == WEBHOOK_KEY
    assert load({"DATA_DIR": str(folder)}).sendgrid_webhook_key == ""


@pytest.mark.parametrize(
    "key",
    [
        "abc",
        "ä",
        "x" * 500,
        WEBHOOK_KEY[:-8],
        # Of another kind: Ed25519.
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
    ],
)
def test_a_wrong_key_of_the_event_webhook_is_refused(key: str, folder: Path) -> None:
    with pytest.raises(SettingsError, match="SENDGRID_WEBHOOK_KEY must be the public key that SendGrid shows"):
        load({"DATA_DIR": str(folder), "SENDGRID_WEBHOOK_KEY": key})


def test_secrets_are_not_shown(folder: Path) -> None:
    settings = load(
        {
            "DATA_DIR": str(folder),
            "SECRET_KEY": KEY,
            "DATABASE_URL": "postgresql://u:pass-of-db@h/d",
            "SMTP_URL": "smtp://u:pass-of-smtp@h?starttls=required",
            "MAIL_FROM": "a@example.com",
            "ADMIN_PASSWORD": "pass-of-admin",
        }
    )
    assert not any(secret in repr(settings) for secret in (KEY, "pass-of-"))
