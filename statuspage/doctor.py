"""Look at an installation from all sides: one finding each, with the remedy.

Used by ``statuspage doctor`` only; besides delivery it is the one place that
speaks to the mail provider, without ever sending anything.
"""

import json
import shutil
import smtplib
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr

import dns.exception
import dns.resolver
import requests
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from statuspage import schema
from statuspage.db import engine_options
from statuspage.models import AuditEntry, Heartbeat
from statuspage.rules.times import instant_in_words, span_in_words
from statuspage.settings import Settings, SettingsError, SmtpServer, load

ANSWER_SECONDS = 10
LEAST_FREE_BYTES = 200 * 1024 * 1024
# Sessions and links live for hours; a promise is counted in minutes.
CLOCK_TOLERANCE = timedelta(seconds=30)
# As /readyz: the worker's heart beats every few seconds.
WORKER_SILENCE = timedelta(minutes=1)


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    fine: bool
    sentence: str


def examine(environ: Mapping[str, str], now: datetime) -> list[Finding]:
    """Run every check that the ones before it allow."""
    try:
        settings = load(environ)
    except SettingsError as error:
        return [Finding("settings", False, f"{error} See docs/configuration.md.")]
    findings = [Finding("settings", True, "every setting is well-formed.")]
    engine = create_engine(settings.database_url, **engine_options(settings.database_url))
    try:
        findings += [_data_folder(settings, engine, now), _disk(settings, engine, now)]
        database = _database(settings, engine, now)
        findings.append(database)
        if database.fine:
            findings += [look(settings, engine, now) for look in (_migrations, _clock, _worker)]
    finally:
        engine.dispose()
    return [*findings, _snapshot(settings), _mail(settings), *_mail_events(settings), *_dns(settings)]


def _data_folder(settings: Settings, _engine: Engine, _now: datetime) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=settings.data_dir):
            pass
    except OSError as error:
        remedy = "give the service's user the right to write there, or set DATA_DIR"
        return Finding("data folder", False, f"{settings.data_dir} can't be written ({error.strerror}): {remedy}.")
    return Finding("data folder", True, f"{settings.data_dir} can be written.")


def _disk(settings: Settings, _engine: Engine, _now: datetime) -> Finding:
    free = shutil.disk_usage(settings.data_dir).free
    sentence = f"{free // 2**20} MB free"
    if free < LEAST_FREE_BYTES:
        return Finding("disk", False, f"{sentence}, less than {LEAST_FREE_BYTES // 2**20} MB: make room.")
    return Finding("disk", True, f"{sentence}.")


def _database(settings: Settings, engine: Engine, _now: datetime) -> Finding:
    kind = "the embedded SQLite database" if settings.embedded else "PostgreSQL"
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        return Finding("database", False, f"{kind} does not answer ({reason}): check DATABASE_URL and the server.")
    return Finding("database", True, f"{kind} answers.")


def _migrations(_settings: Settings, engine: Engine, _now: datetime) -> Finding:
    present, newest = schema.versions(engine)
    if present != newest:
        remedy = "run `statuspage init` on a new installation, else restart `statuspage serve` or `web`"
        return Finding("migrations", False, f"the database is at {present or 'nothing'}, not {newest}: {remedy}.")
    return Finding("migrations", True, f"the database is at {present}, the newest.")


def _clock(settings: Settings, engine: Engine, now: datetime) -> Finding:
    remedy = "let the machine keep its time by NTP"
    try:
        with engine.connect() as connection:
            if settings.embedded:
                newest = connection.scalar(select(func.max(AuditEntry.acted_at)))
            else:
                newest = connection.scalar(text("SELECT clock_timestamp()"))
    except SQLAlchemyError:
        return Finding("clock", True, f"it is {instant_in_words(now)}; nothing is recorded yet to compare with.")
    if newest is None:
        return Finding("clock", True, f"it is {instant_in_words(now)}; nothing is recorded yet to compare with.")
    ahead = newest.astimezone(UTC) - now
    wrong = ahead > CLOCK_TOLERANCE if settings.embedded else abs(ahead) > CLOCK_TOLERANCE
    if wrong:
        other = "the newest recorded event" if settings.embedded else "the database server's clock"
        order = "behind" if ahead > timedelta() else "ahead of"
        return Finding("clock", False, f"it is {span_in_words(abs(ahead))} {order} {other}: {remedy}.")
    return Finding("clock", True, f"it is {instant_in_words(now)}.")


def _worker(_settings: Settings, engine: Engine, now: datetime) -> Finding:
    remedy = "start `statuspage serve`, or `statuspage worker` beside `statuspage web`"
    try:
        with engine.connect() as connection:
            beat_at = connection.scalar(select(Heartbeat.beat_at).where(Heartbeat.name == "worker"))
    except SQLAlchemyError:
        beat_at = None
    if beat_at is None:
        return Finding("worker", False, f"it has never run, so no mail is sent: {remedy}.")
    silence = now - beat_at
    if silence > WORKER_SILENCE:
        return Finding("worker", False, f"it has been silent for {span_in_words(silence)}: {remedy}.")
    return Finding("worker", True, f"it was alive {span_in_words(silence)} ago.")


def _snapshot(settings: Settings) -> Finding:
    try:
        current = json.loads((settings.site_dir / "current.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        remedy = "run `statuspage publish`"
        return Finding("published site", False, f"{settings.site_dir} holds no readable site: {remedy}.")
    return Finding("published site", True, f"published {current.get('generated_at', 'at an unknown time')}.")


def _mail(settings: Settings) -> Finding:
    if settings.sendgrid_api_key:
        return _sendgrid(settings)
    if settings.smtp is not None:
        return _smtp(settings.smtp)
    remedy = "set SENDGRID_API_KEY or SMTP_URL, with MAIL_FROM"
    return Finding("mail", True, f"mails are kept as files in {settings.outbox_dir}; to send them, {remedy}.")


def _sendgrid(settings: Settings) -> Finding:
    headers = {"Authorization": f"Bearer {settings.sendgrid_api_key}"}
    try:
        answer = requests.get(f"{settings.sendgrid_url}/v3/scopes", headers=headers, timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        return Finding("mail", False, f"SendGrid can't be reached ({type(error).__name__}): check SENDGRID_URL.")
    if answer.status_code in (401, 403):
        return Finding("mail", False, "SendGrid refuses SENDGRID_API_KEY: make a new key with the right to send mail.")
    if answer.status_code != 200:
        return Finding("mail", False, f"SendGrid answered {answer.status_code}: see https://status.sendgrid.com.")
    try:
        scopes = answer.json()["scopes"]
    except (ValueError, KeyError, TypeError):
        return Finding("mail", False, "SendGrid's answer can't be read: check SENDGRID_URL.")
    if "mail.send" not in scopes:
        return Finding("mail", False, "SENDGRID_API_KEY may not send: give it the scope mail.send.")
    return Finding("mail", True, "SendGrid takes the key, which may send.")


def _mail_events(settings: Settings) -> list[Finding]:
    if not settings.sendgrid_api_key and not settings.sendgrid_webhook_key:
        return []
    address = f"{settings.public_url}/hooks/sendgrid"
    if not settings.sendgrid_webhook_key:
        remedy = f"have SendGrid post its events to {address} and set SENDGRID_WEBHOOK_KEY"
        return [Finding("mail events", False, f"nobody says which mails arrived and which bounced: {remedy}.")]
    if not settings.secure:
        return [Finding("mail events", False, f"SendGrid can't post to {address}: set PUBLIC_URL to an https address.")]
    return [Finding("mail events", True, f"what SendGrid signs is taken at {address}.")]


def _smtp(server: SmtpServer) -> Finding:
    context, place = ssl.create_default_context(), f"{server.host}:{server.port}"
    try:
        if server.tls == "implicit":
            client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=ANSWER_SECONDS, context=context)
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=ANSWER_SECONDS)
        with client:
            client.ehlo()
            if server.tls == "required":
                client.starttls(context=context)
                client.ehlo()
            if server.user:
                client.login(server.user, server.password)
    except smtplib.SMTPAuthenticationError:
        return Finding("mail", False, f"{place} refuses the user or the password: check SMTP_URL.")
    except (OSError, smtplib.SMTPException) as error:
        return Finding("mail", False, f"{place} does not take mail ({error}): check SMTP_URL.")
    return Finding("mail", True, f"{place} answers and would take mail.")


def _dns(settings: Settings) -> list[Finding]:
    """Look for the records that keep mail out of the spam folder (RFC 7208, RFC 7489)."""
    if not settings.sendgrid_api_key and settings.smtp is None:
        return []
    domain = parseaddr(settings.mail_from)[1].rpartition("@")[2]
    found = []
    for name, host, mark in (("SPF", domain, "v=spf1"), ("DMARC", f"_dmarc.{domain}", "v=DMARC1")):
        try:
            fine = any(record.lower().startswith(mark.lower()) for record in _txt_records(host))
        except dns.exception.DNSException as error:
            reason = type(error).__name__
            found.append(Finding(name, True, f"could not ask ({reason}): look for a TXT record {mark} at {host}."))
            continue
        remedy = f"add a TXT record beginning with {mark}, as your mail provider tells you"
        sentence = f"{host} has its record." if fine else f"{host} has none, so mail may count as spam: {remedy}."
        found.append(Finding(name, fine, sentence))
    return found


def _txt_records(host: str) -> list[str]:
    try:
        answer = dns.resolver.resolve(host, "TXT", lifetime=5, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
