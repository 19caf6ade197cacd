# The service in one image: `statuspage serve` by default; `statuspage web` and `statuspage worker` for larger ones.
FROM python:3.12-slim AS build
WORKDIR /app
RUN python -m venv /app/.venv
COPY requirements.txt ./
RUN /app/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
COPY pyproject.toml README.md wsgi.py ./
COPY statuspage statuspage
COPY migrations migrations
COPY templates templates
COPY static static
RUN /app/.venv/bin/python -m compileall -q statuspage migrations
RUN /app/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --editable .

FROM python:3.12-slim
ENV PATH="/app/.venv/bin:$PATH" PYTHONUNBUFFERED=1 DATA_DIR=/data HOST=0.0.0.0 PORT=8080
RUN useradd --system --user-group --uid 10001 --home-dir /data statuspage && mkdir /data
COPY --from=build /app /app
COPY deploy/entrypoint.sh /usr/local/bin/
WORKDIR /app
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
  "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=4)"]
# Starts as root only to take over the volume, then runs as its own user.
ENTRYPOINT ["entrypoint.sh"]
CMD ["statuspage", "serve"]
