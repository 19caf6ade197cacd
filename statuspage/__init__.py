"""A status page that keeps its promises.

Nothing is imported here, so that the rules and the public read path can be
used without Flask or a database: see ``statuspage.app.create_app``.
"""

__version__ = "0.1.0"
