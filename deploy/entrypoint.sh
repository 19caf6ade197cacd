#!/bin/sh
# A volume comes owned by root: hand it to the service's own user, then become that user.
set -eu
if [ "$(id -u)" = 0 ]; then
  chown statuspage: "$DATA_DIR"
  exec setpriv --reuid=statuspage --regid=statuspage --clear-groups "$@"
fi
exec "$@"
