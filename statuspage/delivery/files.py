"""Mails kept as files, for an installation without a mail provider."""

import os
from collections.abc import Sequence
from pathlib import Path

from statuspage.delivery.mime import MailTemplate
from statuspage.delivery.transport import Message, Outcome, Receipt, Recipient


class FileTransport:
    """Writes each mail as an ``.eml`` file; the same delivery again overwrites its own."""

    batch_size = 200
    batches_at_once = 1

    def __init__(self, folder: Path, mail_from: str) -> None:
        self._folder = folder
        self._mail_from = mail_from

    def deliver(self, message: Message, recipients: Sequence[Recipient]) -> list[Receipt]:
        """Write a file for each recipient."""
        self._folder.mkdir(parents=True, exist_ok=True)
        template = MailTemplate(message, self._mail_from)
        return [self._write(template, recipient) for recipient in recipients]

    def _write(self, template: MailTemplate, recipient: Recipient) -> Receipt:
        file = self._folder / f"{recipient.delivery_id:09}.eml"
        temporary = file.with_suffix(".new")
        try:
            content = template.fill(recipient)
        except ValueError as error:
            return Receipt(recipient.delivery_id, Outcome.REFUSED, f"no mail can be made for this address: {error}")
        try:
            with temporary.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(file)
        except OSError as error:
            return Receipt(recipient.delivery_id, Outcome.LATER, str(error))
        return Receipt(recipient.delivery_id, Outcome.SUBMITTED)
