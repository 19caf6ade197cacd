"""A note as each chat service takes it: its own message, and nothing that could post one."""

import re
from typing import Any

from statuspage.delivery.transport import Note

# Slack takes 3,000 characters in a block, Teams 28 KB in a message; nobody reads more in a chat.
TITLE_LIMIT, TEXT_LIMIT, LINE_LIMIT = 200, 2_500, 40
SLACK_BLOCK_LIMIT = 3_000
DISCORD_LIMIT = 2_000
DISCORD_NO_PREVIEW = 4

_DISCORD_SIGNS = re.compile(r"[\\*_~|`\[\]<]")


def slack_message(note: Note) -> dict[str, Any]:
    """Return a note as Slack takes it."""
    note = shortened(note)
    title, text = _slack_text(note.title, SLACK_BLOCK_LIMIT), _slack_text(note.text, SLACK_BLOCK_LIMIT)
    parts = [f"*{title}*", text, f"<{_slack_text(note.url, 2_000)}|{_slack_text(note.url_label, 200)}>"]
    shown = [part for part, there in zip(parts, (title, text, note.url), strict=True) if there]
    # The text is what notifications show. "verbatim" keeps @names and #rooms from becoming mentions.
    return {
        "text": f"{title}: {text}" if text else title,
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": part, "verbatim": True}} for part in shown],
    }


def _slack_text(text: str, limit: int) -> str:
    """Escape what Slack reads as its own signs; the limit counts what is sent."""
    kept: list[str] = []
    length = 0
    for letter in text:
        escaped = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(letter, letter)
        length += len(escaped)
        # Two for the stars of a title, one for the dots.
        if length > limit - 3:
            return "".join(kept) + "…"
        kept.append(escaped)
    return "".join(kept)


def teams_message(note: Note) -> dict[str, Any]:
    """Return a note as Microsoft Teams takes it: an adaptive card."""
    note = shortened(note)
    # Text runs show what they hold; a TextBlock would read it as Markdown and swallow line breaks.
    lines = [_teams_line(note.title, weight="Bolder", size="Medium")]
    lines += [_teams_line(line) for line in note.text.splitlines() if line.strip()]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
    }
    if note.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": note.url_label, "url": note.url}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def discord_message(note: Note) -> dict[str, Any]:
    """Return a note as Discord takes it: no name in it calls anybody, and the link opens no preview."""
    note = shortened(note)
    title, end = f"**{_DISCORD_SIGNS.sub(_escaped, note.title)}**\n", f"\n<{note.url}>" if note.url else ""
    content = title + _cut(note.text, max(DISCORD_LIMIT - len(title) - len(end), 1)) + end
    return {"content": content, "allowed_mentions": {"parse": []}, "flags": DISCORD_NO_PREVIEW}


def _escaped(sign: re.Match[str]) -> str:
    return f"\\{sign[0]}"


def _teams_line(text: str, **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def shortened(note: Note) -> Note:
    """Return as much of a note as anybody reads in a chat."""
    lines = note.text.splitlines()
    kept = "\n".join(lines[:LINE_LIMIT]) + ("\n…" if len(lines) > LINE_LIMIT else "")
    return Note(_cut(note.title, TITLE_LIMIT), _cut(kept, TEXT_LIMIT), note.url, note.url_label)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
