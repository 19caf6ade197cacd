"""Every setting in one table: name, default, what it is for; checked at start.

A setting comes from the environment variable of its name, or from the file
that ``NAME_FILE`` points to (for secrets).
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from email_validator import EmailNotValidError, validate_email

from statuspage.signatures import read_public_key

SECRET_KEY_MINIMUM = 32
SENDGRID_DEFAULT_URL = "https://api.sendgrid.com"
GITHUB_DEFAULT_URL = "https://api.github.com"
# The variables that name an object store other than the big ones' own: obstore reads them.
ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}


_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


class SettingsError(Exception):
    """A setting is wrong or half-given; the message is one sentence naming it."""


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting("DATA_DIR", "var", "Folder for the embedded database, the published site and mails kept as files."),
    Setting(
        "DATABASE_URL",
        "sqlite:///<DATA_DIR>/statuspage.db",
        "Where the data lives: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`.",
    ),
    Setting(
        "SECRET_KEY",
        "made and kept in DATA_DIR",
        "Signs sessions and links in mails; at least 32 characters. Demanded with PostgreSQL.",
    ),
    Setting(
        "SECRET_KEY_FALLBACKS",
        "",
        "Earlier values of SECRET_KEY, separated by commas: links in mails already sent go on working.",
    ),
    Setting(
        "PUBLIC_URL",
        "http://127.0.0.1:<PORT>",
        "Address that readers use, without a path. Requests for another host are refused.",
    ),
    Setting("HOST", "127.0.0.1", "Address the web server listens on."),
    Setting("PORT", "8000", "Port the web server listens on."),
    Setting("WEB_WORKERS", "1", "Number of web server processes."),
    Setting(
        "TRUSTED_PROXIES",
        "0",
        "Number of proxies in front of the web server whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    ),
    Setting("MAIL_FROM", "status@localhost", "Sender of every mail: `status@example.com` or `Name <status@…>`."),
    Setting("SENDGRID_API_KEY", "", "Sends mail through SendGrid; demands MAIL_FROM."),
    Setting(
        "SENDGRID_URL",
        SENDGRID_DEFAULT_URL,
        "Base address of SendGrid's API: the EU region (`https://api.eu.sendgrid.com`) or a test sink.",
    ),
    Setting(
        "SENDGRID_WEBHOOK_KEY",
        "",
        "Public key of SendGrid's Event Webhook: what became of each mail is taken at `/hooks/sendgrid`.",
    ),
    Setting(
        "SMTP_URL",
        "",
        "Sends mail by SMTP: `smtp://USER:PASSWORD@HOST:587?starttls=required` or `smtps://…`; demands MAIL_FROM. "
        "`connections=8` in its query sends over so many connections at a time (4).",
    ),
    Setting(
        "PUBLISH_TO",
        "",
        "Where the worker copies the published site to: `s3://BUCKET/PREFIX`, `gs://…`, `az://…` or `file:///PATH`.",
    ),
    Setting(
        "GITHUB_REPOSITORY",
        "",
        "Where action items are filed as issues, as `OWNER/NAME`; demands GITHUB_TOKEN.",
    ),
    Setting("GITHUB_TOKEN", "", "A token that may write issues in GITHUB_REPOSITORY."),
    Setting(
        "GITHUB_URL",
        GITHUB_DEFAULT_URL,
        "Base address of GitHub's API: for GitHub Enterprise `https://HOST/api/v3`.",
    ),
    Setting("ADMIN_EMAIL", "admin@example.com", "E-mail address of the first administrator."),
    Setting("ADMIN_PASSWORD", "made and printed once", "Password of the first administrator."),
    Setting("STATUSPAGE_TESTING", "", "`1` in an installation that only tests use; never set it elsewhere."),
    Setting(
        "GUARD_ALLOW",
        "",
        "For tests only: private places that webhooks may lead to, as `IP:PORT`, separated by commas. "
        "Refused without STATUSPAGE_TESTING.",
    ),
)


@dataclass(frozen=True)
class SmtpServer:
    """Where and how to hand over mail by SMTP."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: str
    """``implicit`` (smtps), ``required`` (STARTTLS demanded) or ``none``."""
    connections: int = 4
    """How many sessions at a time."""


@dataclass(frozen=True)
class GitHub:
    """Where action items are filed as issues."""

    repository: str
    token: str = field(repr=False)
    url: str = GITHUB_DEFAULT_URL
    """Base address of the API, without a slash at its end."""


@dataclass(frozen=True)
class Settings:
    """All settings, checked."""

    data_dir: Path
    database_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(repr=False)
    public_url: str
    host: str
    port: int
    web_workers: int
    trusted_proxies: int
    mail_from: str
    sendgrid_api_key: str = field(repr=False)
    sendgrid_url: str
    sendgrid_webhook_key: str
    """Base64 of DER, as SendGrid shows it; empty: no events are taken."""
    smtp: SmtpServer | None
    admin_email: str
    admin_password: str = field(repr=False)
    publish_to: str = ""
    """Where the published folder is copied to; empty: nowhere."""
    github: GitHub | None = None
    """None: action items are not filed as issues."""
    guard_allow: frozenset[str] = frozenset()
    """What tests may post to inside their own machine (delivery/guard.py)."""

    @property
    def embedded(self) -> bool:
        """Whether the database is a SQLite file."""
        return self.database_url.startswith("sqlite:")

    @property
    def site_dir(self) -> Path:
        """The published folder."""
        return self.data_dir / "site"

    @property
    def outbox_dir(self) -> Path:
        """Where mails are kept as files when no mail provider is set."""
        return self.data_dir / "outbox"

    @property
    def public_host(self) -> str:
        """Host name of PUBLIC_URL, without the port."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The present key, then those before it."""
        return (self.secret_key, *self.secret_key_fallbacks)

    @property
    def secure(self) -> bool:
        """Whether readers come by HTTPS."""
        return self.public_url.startswith("https://")


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check every setting; make DATA_DIR and, where allowed, the secret key.

    Raises SettingsError with one sentence naming the setting.
    """
    given = {setting.name: _read(setting.name, environ) for setting in SETTINGS}
    data_dir = Path(given["DATA_DIR"] or "var").absolute()
    database_url = _database_url(given["DATABASE_URL"], data_dir)
    port = _number("PORT", given["PORT"] or "8000", 1, 65535)
    mail_from = _mail_from(given["MAIL_FROM"])
    smtp = _smtp(given["SMTP_URL"])
    _check_mail(given, smtp)
    return Settings(
        data_dir=_make_folder(data_dir),
        database_url=database_url,
        secret_key=_secret_key(given["SECRET_KEY"], data_dir, database_url),
        secret_key_fallbacks=tuple(key.strip() for key in given["SECRET_KEY_FALLBACKS"].split(",") if key.strip()),
        public_url=_base_url("PUBLIC_URL", given["PUBLIC_URL"] or f"http://127.0.0.1:{port}"),
        host=given["HOST"] or "127.0.0.1",
        port=port,
        web_workers=_number("WEB_WORKERS", given["WEB_WORKERS"] or "1", 1, 64),
        trusted_proxies=_number("TRUSTED_PROXIES", given["TRUSTED_PROXIES"] or "0", 0, 10),
        mail_from=mail_from,
        sendgrid_api_key=given["SENDGRID_API_KEY"],
        sendgrid_url=_base_url("SENDGRID_URL", given["SENDGRID_URL"] or SENDGRID_DEFAULT_URL),
        sendgrid_webhook_key=_webhook_key(given["SENDGRID_WEBHOOK_KEY"]),
        smtp=smtp,
        admin_email=_address("ADMIN_EMAIL", given["ADMIN_EMAIL"] or "admin@example.com"),
        admin_password=given["ADMIN_PASSWORD"],
        publish_to=_target("PUBLISH_TO", given["PUBLISH_TO"], environ, data_dir),
        github=_github(given),
        guard_allow=_guard_allow(given["GUARD_ALLOW"], given["STATUSPAGE_TESTING"]),
    )


@dataclass(frozen=True)
class Folder:
    """The little that works with neither database nor secrets: where the published site is, and its copy."""

    data_dir: Path
    public_url: str
    publish_to: str

    @property
    def site_dir(self) -> Path:
        """The published folder."""
        return self.data_dir / "site"


def load_folder(environ: Mapping[str, str], target: str = "") -> Folder:
    """Read what break-glass commands need, and nothing else: in an emergency no other setting may stop them.

    ``target`` takes the place of PUBLISH_TO. Raises SettingsError with one
    sentence naming the setting.
    """
    data_dir = Path(_read("DATA_DIR", environ) or "var").absolute()
    url = _read("PUBLIC_URL", environ) or f"http://127.0.0.1:{_read('PORT', environ) or '8000'}"
    name = "--to" if target else "PUBLISH_TO"
    wanted = target or _read("PUBLISH_TO", environ)
    return Folder(data_dir, _base_url("PUBLIC_URL", url), _target(name, wanted, environ, data_dir))


def _target(name: str, text: str, environ: Mapping[str, str], data_dir: Path) -> str:
    """Check where the published site is copied to, and what its credentials need besides."""
    if not text:
        return ""
    sentence = f"{name} must look like s3://bucket/folder, gs://bucket/folder, az://container/folder or file:///folder."
    try:
        parts = urlsplit(text)
        fine = not (parts.query or parts.fragment or parts.username or parts.port)
    except ValueError:
        raise SettingsError(sentence) from None
    if parts.scheme == "file":
        fine = fine and not parts.netloc and parts.path.strip("/") != ""
    else:
        fine = fine and parts.scheme in ("s3", "gs", "az") and bool(parts.netloc)
    if not fine:
        raise SettingsError(sentence)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path)).resolve()
        if folder == data_dir.resolve() or data_dir.resolve() in folder.parents:
            raise SettingsError(f"{name} must lead out of DATA_DIR, where the site is published anyway.")
    if parts.scheme == "s3" and bool(environ.get("AWS_ACCESS_KEY_ID")) != bool(environ.get("AWS_SECRET_ACCESS_KEY")):
        raise SettingsError(f"{name}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together.")
    for endpoint in ENDPOINTS.get(parts.scheme, ()):
        _check_endpoint(endpoint, environ.get(endpoint, ""))
    return text.rstrip("/")


def _check_endpoint(name: str, text: str) -> None:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit("-"), ""
    if text and (parts.scheme not in ("http", "https") or not host):
        raise SettingsError(f"{name} must be an address such as https://s3.example.com.")
    if parts.scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
        raise SettingsError(f"{name} would send the published site's credentials in the clear: please use https.")


def _read(name: str, environ: Mapping[str, str]) -> str:
    value, file = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if value and file:
        raise SettingsError(f"{name} and {name}_FILE are both set: please keep one.")
    if not file:
        return value.strip()
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE can't be read: {error}.") from None


def _guard_allow(text: str, testing: str) -> frozenset[str]:
    if testing not in ("", "1"):
        raise SettingsError("STATUSPAGE_TESTING must be 1 or not be set at all.")
    if text and not testing:
        raise SettingsError("GUARD_ALLOW opens private networks to strangers and is for tests only: please remove it.")
    places = frozenset(place.strip() for place in text.split(",") if place.strip())
    for place in places:
        try:
            parts = urlsplit(f"//{place}")
            ip_address(parts.hostname or "")
            fine = parts.port is not None and parts.netloc == place
        except ValueError:
            fine = False
        if not fine:
            raise SettingsError(f"GUARD_ALLOW must hold places such as 127.0.0.1:8080, not {place!r}.")
    return places


def _number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise SettingsError(f"{name} must be a whole number from {least} to {most}, not {text!r}.")
    return int(text)


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"DATA_DIR can't be made: {error}.") from None
    return folder


def _database_url(text: str, data_dir: Path) -> str:
    if not text:
        return f"sqlite:///{data_dir / 'statuspage.db'}"
    scheme = text.partition(":")[0]
    if scheme == "sqlite":
        return text
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        # SQLAlchemy's name for the psycopg 3 driver, which is the one installed.
        return "postgresql+psycopg" + text[len(scheme) :]
    raise SettingsError("DATABASE_URL must begin with sqlite:/// or postgresql://.")


def _secret_key(text: str, data_dir: Path, database_url: str) -> str:
    if text:
        if len(text) < SECRET_KEY_MINIMUM:
            raise SettingsError(f"SECRET_KEY must have at least {SECRET_KEY_MINIMUM} characters.")
        if "," in text:
            raise SettingsError("SECRET_KEY must not hold a comma: SECRET_KEY_FALLBACKS is split at commas.")
        return text
    if not database_url.startswith("sqlite:"):
        raise SettingsError("SECRET_KEY must be set when DATABASE_URL is PostgreSQL.")
    return kept_secret(data_dir / "secret_key")


def kept_secret(file: Path) -> str:
    """Return the secret in this file; make it, readable by the owner only, when absent."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive creation under another name, then a link: two starts at once agree on one key.
        temporary = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        if not file.exists():
            temporary.touch(mode=0o600)
            temporary.write_text(secrets.token_hex(32), encoding="ascii")
            try:
                file.hardlink_to(temporary)
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        secret = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"SECRET_KEY is not set and can't be kept in DATA_DIR: {error}.") from None
    if len(secret) < SECRET_KEY_MINIMUM:
        raise SettingsError(f"SECRET_KEY kept in {file} is damaged: please restore it or remove the file.")
    return secret


def _base_url(name: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/")
        fine = fine and not (parts.query or parts.fragment or parts.username) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine:
        raise SettingsError(f"{name} must be an address such as https://status.example.com, without a path.")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _address(name: str, text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError:
        raise SettingsError(f"{name} must be an e-mail address, not {text!r}.") from None


def _mail_from(text: str) -> str:
    if not text:
        return "status@localhost"
    try:
        validate_email(text, check_deliverability=False, allow_display_name=True, test_environment=True)
    except EmailNotValidError:
        raise SettingsError(
            "MAIL_FROM must be an e-mail address such as status@example.com or Name <status@example.com>."
        ) from None
    return text


def _check_mail(given: Mapping[str, str], smtp: SmtpServer | None) -> None:
    if given["SENDGRID_API_KEY"] and smtp is not None:
        raise SettingsError("SENDGRID_API_KEY and SMTP_URL are both set: please keep one.")
    for name in ("SENDGRID_API_KEY", "SMTP_URL"):
        if given[name] and not given["MAIL_FROM"]:
            raise SettingsError(f"MAIL_FROM must be set together with {name}.")
    if given["SENDGRID_URL"] and not given["SENDGRID_API_KEY"]:
        raise SettingsError("SENDGRID_API_KEY must be set together with SENDGRID_URL.")


def _webhook_key(text: str) -> str:
    if not text:
        return ""
    # SendGrid shows it on one line; who has it as a PEM file may give that.
    key = "".join(line.strip() for line in text.splitlines() if not line.startswith("-----"))
    try:
        read_public_key(key)
    except ValueError:
        raise SettingsError(
            "SENDGRID_WEBHOOK_KEY must be the public key that SendGrid shows under “Signed Event Webhook”."
        ) from None
    return key


def _github(given: Mapping[str, str]) -> GitHub | None:
    repository, token, url = given["GITHUB_REPOSITORY"], given["GITHUB_TOKEN"], given["GITHUB_URL"]
    if not (repository or token or url):
        return None
    for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN"):
        if not given[name]:
            other = next(each for each in ("GITHUB_REPOSITORY", "GITHUB_TOKEN", "GITHUB_URL") if given[each])
            raise SettingsError(f"{name} must be set together with {other}.")
    if not _REPOSITORY.fullmatch(repository):
        raise SettingsError("GITHUB_REPOSITORY must look like OWNER/NAME.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise SettingsError("GITHUB_TOKEN must be one word, as GitHub showed it.")
    return GitHub(repository, token, _github_url(url or GITHUB_DEFAULT_URL))


def _github_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
        fine = fine and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        fine = False
    if not fine:
        raise SettingsError("GITHUB_URL must be an address such as https://github.example.com/api/v3.")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise SettingsError("GITHUB_URL would send the token in the clear: please use https.")
    return text.rstrip("/")


def _smtp(text: str) -> SmtpServer | None:
    if not text:
        return None
    sentence = "SMTP_URL must look like smtp://USER:PASSWORD@HOST:587?starttls=required or smtps://…"
    try:
        parts = urlsplit(text)
        query = parse_qs(parts.query, strict_parsing=bool(parts.query))
        port = parts.port or (465 if parts.scheme == "smtps" else 587)
    except ValueError:
        raise SettingsError(f"{sentence}.") from None
    starttls = query.pop("starttls", ["none"])
    connections = _number("SMTP_URL's connections", ",".join(query.pop("connections", ["4"])), 1, 32)
    fine = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.path in ("", "/")
    if not fine or query or starttls not in (["none"], ["required"]) or bool(parts.username) != bool(parts.password):
        raise SettingsError(f"{sentence}.")
    tls = "implicit" if parts.scheme == "smtps" else starttls[0]
    if parts.username and tls == "none" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise SettingsError("SMTP_URL would send the password in the clear: please add ?starttls=required.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return SmtpServer(parts.hostname or "", port, user, password, tls, connections)
