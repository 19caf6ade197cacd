"""The web application, for any WSGI server: ``granian --interface wsgi wsgi:app``."""

import os

from werkzeug.middleware.proxy_fix import ProxyFix

from statuspage.app import create_app
from statuspage.settings import load
from statuspage.web.public import PublicSite

settings = load(os.environ)
app = PublicSite(create_app(settings), settings.site_dir, settings.public_url)
if settings.trusted_proxies:
    # The host is never taken from a proxy's header: PUBLIC_URL says what it is.
    app = ProxyFix(app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies, x_host=0)  # type: ignore[assignment]
