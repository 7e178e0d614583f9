"""Writes a row twenty times a second, as long as it is let, and says where it runs. Its start makes the table."""

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg2


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-Served-By", os.environ["WHERE"])
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_args):
        pass


def write():
    while True:
        try:
            connection = psycopg2.connect("postgres://site:site@db/site")
            connection.autocommit = True
            with connection.cursor() as cursor:
                while True:
                    cursor.execute("INSERT INTO orders (note) VALUES (%s)", (os.environ["WHERE"],))
                    time.sleep(0.05)
        except psycopg2.Error:
            time.sleep(0.05)


with psycopg2.connect("postgres://site:site@db/site") as first, first.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, note text NOT NULL)")
if os.environ["WHERE"] == "old":
    threading.Thread(target=write, daemon=True).start()
HTTPServer(("", 8000), Site).serve_forever()
