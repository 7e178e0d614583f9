"""A site whose new version is good, crashes, lies about its health, or spoils the data while it migrates."""

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg2

MODE = os.environ["MODE"]


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        well = MODE != "lies" or self.path == "/health"
        self.send_response(200 if well else 500)
        self.end_headers()
        self.wfile.write(MODE.encode())

    def log_message(self, *_args):
        pass


if MODE == "crashes":
    time.sleep(2)
    sys.exit("ImportError: no module named site")
with psycopg2.connect("postgres://site:site@db/site") as connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS orders AS SELECT generate_series(1, 1000) AS id")
    if MODE == "migrates":
        cursor.execute("DELETE FROM orders")
        connection.commit()
        cursor.execute("ALTER TABLE orders ADD total int NOT NULL")
        cursor.execute("INSERT INTO orders VALUES (1, NULL)")
HTTPServer(("", 8000), Site).serve_forever()
