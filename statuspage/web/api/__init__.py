"""The management API, ``/v1``: Atlassian Statuspage's v1, extended by what is promised."""
