"""The table of ways to send, and which one the settings choose."""

from statuspage.delivery.transport import Transport
from statuspage.settings import Settings


def transport_for(settings: Settings) -> Transport:
    """Return the way of sending that the settings choose: SendGrid, SMTP, or files."""
    if settings.sendgrid_api_key:
        # Its library takes 80 ms to import: only those who use it pay for it.
        from statuspage.delivery.sendgrid_mail import SendGridTransport

        return SendGridTransport(settings.sendgrid_api_key, settings.sendgrid_url, settings.mail_from)
    if settings.smtp is not None:
        # Brings the TLS library: only those who use it pay for it.
        from statuspage.delivery.smtp import SmtpTransport

        return SmtpTransport(settings.smtp, settings.mail_from)
    # For the start-up's sake like the two above.
    from statuspage.delivery.files import FileTransport

    return FileTransport(settings.outbox_dir, settings.mail_from)


def forget(settings: Settings, address: str, *, complaint: bool) -> bool:
    """Have the provider take an address off its own lists; tell whether it did. Raises ChannelDown."""
    if not settings.sendgrid_api_key:
        # The others keep no list.
        return True
    # Brings requests: only those who use SendGrid pay for it.
    from statuspage.delivery import sendgrid_suppressions

    return sendgrid_suppressions.forget(settings.sendgrid_api_key, settings.sendgrid_url, address, complaint=complaint)
