"""What ``statuspage publish --offline`` does: with neither database nor console, and no setting but the folder's.

Nothing here imports Flask or SQLAlchemy: neither may be what stands in the way.
"""

import time
from datetime import datetime

from statuspage.rules.vocabulary import RuleBroken
from statuspage.settings import Folder
from statuspage.site import notices
from statuspage.site.mirror import Mirror, MirrorFailed
from statuspage.site.notices import NoSnapshot

# A worker that copies just now is waited for this long: what it does not take along is copied then.
COPY_PATIENCE_SECONDS = 30.0


class Failed(Exception):
    """It was not done; the message says what was not."""


def post(folder: Folder, text: str, now: datetime) -> str:
    """Put a notice onto the published page; return what was done, in a sentence."""
    try:
        paths = notices.post(folder.data_dir, folder.site_dir, folder.public_url, text, now)
    except RuleBroken as broken:
        raise Failed(" ".join(broken.errors.values())) from None
    except (NoSnapshot, OSError) as error:
        raise Failed(_nothing_done(error)) from None
    return f"The notice is on {len(paths)} files of {folder.site_dir}. Take it away with --offline --withdraw."


def withdraw(folder: Folder) -> str:
    """Take the notice away; return what was done, in a sentence."""
    try:
        paths = notices.withdraw(folder.data_dir, folder.site_dir, folder.public_url)
    except (NoSnapshot, OSError) as error:
        raise Failed(_nothing_done(error)) from None
    return f"The notice is taken away; {len(paths)} files of {folder.site_dir} were looked at."


def copy(folder: Folder) -> str:
    """Copy the published folder to where it is wanted; return what was done, in a sentence."""
    end = time.monotonic() + COPY_PATIENCE_SECONDS
    mirror = Mirror(folder.site_dir, folder.data_dir, folder.publish_to)
    while True:
        try:
            copied = mirror.copy()
            break
        except BlockingIOError:
            if time.monotonic() >= end:
                raise Failed(f"{folder.publish_to}: another process has been copying to it for long.") from None
            time.sleep(0.5)
        except (MirrorFailed, OSError) as error:
            raise Failed(f"The site is published here, but not at {folder.publish_to}: {error}") from None
    return f"Copied to {folder.publish_to}: {copied.written} files written, {copied.removed} removed."


def _nothing_done(error: Exception) -> str:
    return f"Nothing could be put on the page: {error}"
