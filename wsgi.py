"""The web application, for any WSGI server: ``granian --interface wsgi wsgi:app``."""

import os
from typing import TYPE_CHECKING

from statuspage.glance import Glance
from statuspage.settings import load
from statuspage.web.late import LateApplication
from statuspage.web.public import PublicSite
from statuspage.webserver import APPLICATION_THREADS, WAITING_THREADS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

settings = load(os.environ)


def _make() -> "WSGIApplication":
    # Flask and SQLAlchemy take seconds to import, and twice the memory: readers need neither.
    from statuspage import watchdog
    from statuspage.app import create_app

    application = create_app(settings)
    # Here and not in create_app(): commands and tests have no worker to watch.
    watchdog.start(application, glance.stop())
    if not settings.trusted_proxies:
        return application
    from werkzeug.middleware.proxy_fix import ProxyFix

    # The host is never taken from a proxy's header: PUBLIC_URL says what it is.
    return ProxyFix(application, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies, x_host=0)


application = LateApplication(_make, APPLICATION_THREADS, WAITING_THREADS)
glance = Glance(settings, application.prepare)
glance.start()
app = PublicSite(application, settings.site_dir, settings.public_url)
