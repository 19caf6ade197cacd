"""Subscribe to feeds with reader, as a person would in a feed reader. Prints JSON."""

import json
import sys

from reader import make_reader

found = {}
reader = make_reader(":memory:")
for url in sys.argv[1:]:
    reader.add_feed(url)
    reader.update_feed(url)
    entries = list(reader.get_entries(feed=url))
    found[url] = {
        "title": reader.get_feed(url).title,
        "entries": [{"id": each.id, "title": each.title, "link": each.link} for each in entries],
    }
print(json.dumps(found))
