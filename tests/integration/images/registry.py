#!/usr/bin/env python3
"""A registry for tests, as honest as it is told to be.

usage: registry.py DIRECTORY SETTINGS

Serves the OCI layout in DIRECTORY as the repository "tools/demo". As a proxy it lets nobody through. SETTINGS is a JSON object in a file, read once:

  port    where to write the port that was found, as text: the file appears when the registry listens
  listen  [address, port]; 127.0.0.1 and a free port where it is not said
  log     a file that gets one JSON object for each request
  tags    {tag: digest}, besides what index.json names
  tls     {cert, key, client_ca}: files in PEM; client_ca: certificates of clients are asked for
  basic   "user:password" that every request has to bring
  token   {realm, login, uses, answer}: a token is needed, good for so many requests, and given at /token to who brings
          this login ("user:password", "refresh:TOKEN", or none for all); answer: what is said in its place
  faults  a list of objects. Each has `path`, a regular expression that the request's path has to hold, and
          `times`, how often it strikes (default: always); the first that strikes decides:
            status, headers, body         this answer; {port} and {path} are filled in in headers
            cut N, stall N                after N bytes of the body the connection is closed, or nothing more comes
            flip N                        one bit of byte N is another
            length N                      Content-Length says so
            extra N                       that many bytes more come
            whole                         the whole in answer to a request for a part
            content_range TEXT            of a part
            type TEXT                     Content-Type
            encoding gzip                 compressed on the way, and said to be
            endless_headers               headers and no end
            drip SECONDS                  each 64 KiB of the body come after such a pause
"""

import base64
import gzip
import http.server
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse

REPOSITORY = "/v2/tools/demo/"


class Registry:
    """What all requests share."""

    def __init__(self, directory, settings):
        self.directory = directory
        self.settings = settings
        self.faults = settings.get("faults", [])
        self.lock = threading.Lock()
        self.log = open(settings["log"], "a", buffering=1)
        self.tokens = {}
        self.tags = dict(settings.get("tags", {}))
        index = json.load(open(f"{directory}/index.json"))
        for entry in index["manifests"]:
            name = entry.get("annotations", {}).get("org.opencontainers.image.ref.name", "")
            self.tags[name.rpartition(":")[2]] = entry["digest"]

    def note(self, **what):
        with self.lock:
            self.log.write(json.dumps(what) + "\n")

    def fault_for(self, path):
        with self.lock:
            for fault in self.faults:
                if fault.get("times", 1) <= 0 or not re.search(fault["path"], path):
                    continue
                if "times" in fault:
                    fault["times"] -= 1
                return fault
        return {}

    def blob(self, digest):
        path = f"{self.directory}/blobs/{digest.replace(':', '/')}"
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    def make_token(self):
        with self.lock:
            token = f"token-{len(self.tokens)}"
            self.tokens[token] = self.settings["token"].get("uses", 1 << 30)
            return token

    def use_token(self, authorization):
        token = authorization.removeprefix("Bearer ")
        with self.lock:
            self.tokens[token] = self.tokens.get(token, 0) - 1
            return self.tokens[token] >= 0


def login_of(authorization):
    if not authorization.startswith("Basic "):
        return ""
    return base64.b64decode(authorization[6:]).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, **headers):
        text = json.dumps({"errors": [{"code": code, "message": "as the test wants it"}]})
        self.answer(status, text.encode(), **headers)

    def do_CONNECT(self):
        self.registry.note(method="CONNECT", path=self.path, authorization=self.headers.get("Proxy-Authorization", ""))
        self.refuse(403, "DENIED")

    def do_POST(self):
        self.do_GET()

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        form = self.rfile.read(length).decode() if length else ""
        authorization = self.headers.get("Authorization", "")
        self.registry.note(method=self.command, path=self.path, range=self.headers.get("Range", ""),
                           authorization=authorization, host=self.headers.get("Host", ""), form=form)
        try:
            self.serve(authorization, form)
        except OSError:
            self.close_connection = True

    def serve(self, authorization, form):
        fault = self.registry.fault_for(self.path)
        if "status" in fault:
            return self.answer_as_told(fault)
        if "endless_headers" in fault:
            return self.send_headers_without_end()
        if self.path.startswith("/token"):
            return self.give_token(authorization, form)
        settings = self.registry.settings
        if "basic" in settings and login_of(authorization) != settings["basic"]:
            return self.refuse(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="here, and there"')
        if "token" in settings and not self.registry.use_token(authorization):
            realm = settings["token"]["realm"].replace("{port}", str(self.server.server_port))
            challenge = f'Bearer realm="{realm}",service="the, service",scope="repository:tools/demo:pull"'
            return self.refuse(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
        return self.give(fault)

    def answer_as_told(self, fault):
        headers = {name: value.replace("{port}", str(self.server.server_port)).replace("{path}", self.path)
                   for name, value in fault.get("headers", {}).items()}
        self.answer(fault["status"], fault.get("body", "").encode(), **headers)

    def send_headers_without_end(self):
        self.send_response(200)
        self.flush_headers()
        while True:
            self.wfile.write(b"X-Header: " + b"x" * 4000 + b"\r\n")

    def give_token(self, authorization, form):
        told = self.registry.settings["token"]
        fields = urllib.parse.parse_qs(form)
        secret = login_of(authorization)
        if fields.get("grant_type") == ["refresh_token"]:
            secret = "refresh:" + fields["refresh_token"][0]
        if told.get("login", secret) != secret:
            return self.refuse(401, "UNAUTHORIZED")
        text = told["answer"] if "answer" in told else json.dumps({"token": self.registry.make_token()})
        return self.answer(200, text.encode(), Content_Type="application/json")

    def give(self, fault):
        if self.path == "/v2/":
            return self.answer(200, b"{}")
        kind, _, name = self.path.removeprefix(REPOSITORY).partition("/")
        if not self.path.startswith(REPOSITORY) or kind not in ("manifests", "blobs"):
            return self.refuse(404, "NAME_UNKNOWN")
        digest = self.registry.tags.get(name, name) if kind == "manifests" else name
        body = self.registry.blob(digest)
        if body is None:
            return self.refuse(404, "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN")
        media_type = "application/octet-stream"
        if kind == "manifests":
            media_type = json.loads(body).get("mediaType", "application/vnd.oci.image.index.v1+json")
        return self.give_bytes(body, media_type, fault)

    def give_bytes(self, body, media_type, fault):
        status, headers = 200, {"Content_Type": fault.get("type", media_type)}
        part = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if part and "whole" not in fault:
            start = int(part[1])
            if start >= len(body):
                return self.refuse(416, "RANGE_INVALID")
            headers["Content_Range"] = fault.get("content_range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            status, body = 206, body[start:]
        if "flip" in fault:
            at = fault["flip"]
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
        body += b"x" * fault.get("extra", 0)
        if "encoding" in fault:
            headers["Content_Encoding"], body = "gzip", gzip.compress(body)
        headers["Content_Length"] = fault.get("length", len(body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.send_body(body, fault)

    def send_body(self, body, fault):
        shown = body[:fault.get("cut", fault.get("stall", len(body)))]
        for at in range(0, len(shown), 65536):
            time.sleep(fault.get("drip", 0))
            self.wfile.write(shown[at:at + 65536])
        self.wfile.flush()
        if "stall" in fault:
            self.connection.settimeout(60)
            self.connection.recv(1)  # until the other side gives up
        if len(shown) < fault.get("length", len(body)) or "cut" in fault:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    tls = None

    def finish_request(self, request, client_address):
        if self.tls:
            request.settimeout(10)
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                return
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass


def tls_context(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert"], files["key"])
    if "client_ca" in files:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files["client_ca"])
    return context


def main():
    with open(sys.argv[2]) as file:
        settings = json.load(file)
    Handler.registry = Registry(sys.argv[1], settings)
    server = Server(tuple(settings.get("listen", ("127.0.0.1", 0))), Handler)
    if "tls" in settings:
        server.tls = tls_context(settings["tls"])
    with open(settings["port"] + ".new", "w") as file:
        file.write(str(server.server_port))
    os.rename(settings["port"] + ".new", settings["port"])
    server.serve_forever()


if __name__ == "__main__":
    main()
