"""The web application, for any WSGI server: ``granian --interface wsgi wsgi:app``."""

import os

from werkzeug.middleware.proxy_fix import ProxyFix

from statuspage import watchdog
from statuspage.app import create_app
from statuspage.settings import load
from statuspage.web.public import PublicSite

settings = load(os.environ)
application = create_app(settings)
# Here and not in create_app(): commands and tests have no worker to watch.
watchdog.start(application)
app = PublicSite(application, settings.site_dir, settings.public_url)
if settings.trusted_proxies:
    # The host is never taken from a proxy's header: PUBLIC_URL says what it is.
    app = ProxyFix(app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies, x_host=0)  # type: ignore[assignment]
