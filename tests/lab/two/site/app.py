"""The site: it migrates when it starts, and answers

GET /, /health       200, the number of canaries; ?hold=SECONDS answers that much later
POST /canary?id=ID   201 after the commit; ?hold=SECONDS commits that much later

with X-Served-By. An id may come twice: whoever compares wants to see it."""

import os
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2
from psycopg2.pool import ThreadedConnectionPool

WHERE = os.environ["SERVED_BY"]
POOL = ThreadedConnectionPool(1, 64, os.environ["DATABASE_URL"], connect_timeout=3, application_name="app")


def migrate() -> None:
    db = POOL.getconn()
    with db, db.cursor() as at:
        at.execute(
            "CREATE TABLE IF NOT EXISTS canary"
            " (n bigserial PRIMARY KEY, id text NOT NULL, host text NOT NULL, at timestamptz DEFAULT clock_timestamp())"
        )
        at.execute("CREATE TABLE IF NOT EXISTS document (id serial PRIMARY KEY, body text)")
    POOL.putconn(db)
    uploaded = Path("/uploads/first.txt")
    if not uploaded.exists():
        uploaded.write_text("made by the app's first start\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, text: object) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("X-Served-By", WHERE)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def any(self) -> None:
        asked = urlsplit(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = parse_qs(asked.query)
        hold = float(query.get("hold", ["0"])[0])
        try:
            db = POOL.getconn()
            try:
                with db, db.cursor() as at:
                    if self.command == "POST" and asked.path == "/canary":
                        at.execute("INSERT INTO canary (id, host) VALUES (%s, %s)", (query["id"][0], WHERE))
                        time.sleep(hold)
                        said: tuple[int, object] = (201, "written")
                    elif self.command in ("GET", "HEAD") and asked.path in ("/", "/health"):
                        at.execute("SELECT count(*) FROM canary")
                        time.sleep(hold)
                        said = 200, at.fetchone()[0]
                    else:
                        said = 404, "not here"
            finally:
                POOL.putconn(db, close=bool(db.closed))
        except (psycopg2.Error, psycopg2.pool.PoolError):
            said = 500, "the database does not take it"
        self.answer(*said)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = any


migrate()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("", 8000), Handler).serve_forever()
