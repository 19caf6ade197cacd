"""Read a page with statuscheck: its own class for Statuspage pages, given our address. Prints JSON."""

import json
import sys

from statuscheck.services.bases._statuspageio import BaseStatusPageAPI


class Ours(BaseStatusPageAPI):
    """The page under test."""

    name = "Ours"

    def _get_base_url(self) -> str:
        return f"{sys.argv[1]}/api/v2/"


summary = Ours().get_summary().as_dict()
print(json.dumps(summary))
