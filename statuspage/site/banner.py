"""The banner of the status page for any other site: one script, in the page's own language."""

import json

from statuspage.languages import translated
from statuspage.rendering import TEMPLATES
from statuspage.rules.branding import OWN_SHADES, Brand
from statuspage.rules.vocabulary import PAGE_STATE_WORDS, ComponentState

SCRIPT = TEMPLATES.parent / "static" / "embed.js"
# What stands in the script for its words.
_PLACE = "WORDS"
WORDS = {
    "close": "Close this notice",
    "more": "%(title)s (and %(count)s more)",
    "next": "Next update by %(instant)s",
    "see": "The status page of %(name)s",
    # Where nothing is open: the words of Statuspage's indicator.
    "minor": PAGE_STATE_WORDS[ComponentState.DEGRADED],
    "major": PAGE_STATE_WORDS[ComponentState.OUTAGE],
    "critical": PAGE_STATE_WORDS[ComponentState.OUTAGE],
}


def banner(brand: Brand) -> bytes:
    """Return the script, in the page's colours and language."""
    script = SCRIPT.read_text(encoding="utf-8")
    used = brand.shades
    if used is not None:
        # The product's own accents, which the script is written with.
        script = script.replace(OWN_SHADES.light.accent, used.light.accent)
        script = script.replace(OWN_SHADES.dark.accent, used.dark.accent)
    said = {"language": brand.language, **{name: translated(text, brand.language) for name, text in WORDS.items()}}
    # Nothing but ASCII: other people's pages say in which encoding they read it.
    return script.replace(_PLACE, json.dumps(said), 1).encode()
