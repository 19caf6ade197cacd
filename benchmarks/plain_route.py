"""The same bytes through a plain Flask route, for comparison in benchmarks/serving.py."""

import os
from pathlib import Path

from flask import Flask, Response

app = Flask(__name__)
PAGE = Path(os.environ.get("PLAIN_PAGE", os.devnull)).read_bytes()


@app.get("/")
def front() -> Response:
    return Response(PAGE, headers={"Content-Encoding": "gzip", "Content-Type": "text/html; charset=utf-8"})


if __name__ == "__main__":
    print("Run benchmarks/serving.py: this is one of its servers.")
