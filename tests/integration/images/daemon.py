#!/usr/bin/env python3
"""A container engine's daemon for tests, as far as its images are asked for: Docker's Engine API over a Unix socket.

usage: daemon.py SETTINGS

SETTINGS is a JSON object in a file, read once:

  socket  where to listen: the file appears when the daemon does
  log     a file that gets one JSON object for each request
  images  {name: {id, archive}}: each is found by its name, as it stands there, and by its id, or the first digits of that;
          archive: a file, sent in chunks
  faults  a list of objects. Each has `path`, a regular expression that the request's path has to hold; the first that fits
          decides:
            status, headers, body         this answer
            delay SECONDS                 nothing comes for so long
            sized                         with Content-Length in place of chunks
            until_closed                  with neither: the answer ends with the connection
            cut N, stall N                after N bytes of the body the connection is closed, or nothing more comes
            length N                      Content-Length says so
            raw TEXT                      this in place of any HTTP
"""

import http.server
import json
import os
import re
import socketserver
import sys
import threading
import time

CHUNK = 10000


class Daemon:
    """What all requests share."""

    def __init__(self, settings):
        self.images = settings.get("images", {})
        self.faults = settings.get("faults", [])
        self.lock = threading.Lock()
        self.log = open(settings["log"], "a", buffering=1)

    def note(self, **what):
        with self.lock:
            self.log.write(json.dumps(what) + "\n")

    def fault_for(self, path):
        return next((fault for fault in self.faults if re.search(fault["path"], path)), {})

    def image(self, name):
        if name in self.images:
            return self.images[name]
        digits = name.removeprefix("sha256:")
        return next((image for image in self.images.values()
                     if re.fullmatch("[0-9a-f]{12,64}", digits)
                     and image["id"].removeprefix("sha256:").startswith(digits)), None)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.daemon.note(method=self.command, path=self.path, host=self.headers.get("Host", ""))
        fault = self.daemon.fault_for(self.path)
        try:
            time.sleep(fault.get("delay", 0))
            self.serve(fault)
        except OSError:
            self.close_connection = True

    def serve(self, fault):
        if "raw" in fault:
            self.wfile.write(fault["raw"].encode())
            self.close_connection = True
            return
        status, media_type, body = self.find(fault)
        self.send_response(fault.get("status", status))
        self.send_header("Content-Type", media_type)
        for name, value in fault.get("headers", {}).items():
            self.send_header(name, value)
        self.send_body(body, media_type == "application/x-tar" and "sized" not in fault, fault)

    def find(self, fault):
        asked = re.fullmatch("/images/(.+)/(json|get)", self.path)
        image = self.daemon.image(asked[1]) if asked else None
        if "body" in fault:
            return 200, "application/x-tar" if self.path.endswith("/get") else "application/json", fault["body"].encode()
        if not image:
            message = f"No such image: {asked[1]}" if asked else "page not found"
            return 404, "application/json", json.dumps({"message": message}).encode()
        if asked[2] == "json":
            return 200, "application/json", json.dumps({"Id": image["id"], "RepoTags": [], "Size": 1}).encode()
        with open(image["archive"], "rb") as file:
            return 200, "application/x-tar", file.read()

    def send_body(self, body, chunked, fault):
        chunked = chunked and "until_closed" not in fault
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif "until_closed" not in fault:
            self.send_header("Content-Length", str(fault.get("length", len(body))))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        shown = body[:fault.get("cut", fault.get("stall", len(body)))]
        for at in range(0, len(shown), CHUNK):
            piece = shown[at:at + CHUNK]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if "stall" in fault:
            self.connection.settimeout(60)
            self.connection.recv(1)  # until the other side gives up
        if "cut" in fault or "stall" in fault or "until_closed" in fault:
            self.close_connection = True
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    Handler.daemon = Daemon(settings)
    server = Server(settings["socket"] + ".new", Handler)
    os.rename(settings["socket"] + ".new", settings["socket"])
    server.serve_forever()


if __name__ == "__main__":
    main()
