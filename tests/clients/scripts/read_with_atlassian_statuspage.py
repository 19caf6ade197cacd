"""Read a page's public documents into the models of atlassian-statuspage, which refuse unknown words. Prints JSON."""

import json
import sys

from atlassian_statuspage import ApiClient, Configuration

LISTS = {
    "/components.json": ("components", "list[Component]"),
    "/incidents.json": ("incidents", "list[Incident]"),
    "/incidents/unresolved.json": ("incidents", "list[Incident]"),
    "/scheduled-maintenances.json": ("scheduled_maintenances", "list[Incident]"),
}


class Part:
    """A part of an answer, as the client's own reader takes it."""

    def __init__(self, value):
        self.data = json.dumps(value)


configuration = Configuration()
configuration.host = f"{sys.argv[1]}/api/v2"
client = ApiClient(configuration)
found = {}
for path, (key, kind) in LISTS.items():
    answer = client.call_api(path, "GET", response_type="object", _return_http_data_only=True)
    models = client.deserialize(Part(answer[key]), kind)
    found[path] = [{"id": each.id, "name": each.name, "status": each.status} for each in models]
    if "Incident" in kind:
        for model, shown in zip(models, found[path], strict=True):
            shown["created_at"] = model.created_at.isoformat()
            shown["updates"] = [update.status for update in model.incident_updates]
print(json.dumps(found))
