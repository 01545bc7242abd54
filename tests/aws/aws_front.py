"""moto's server, and a front before it that has botocore sign every request anew and passes it on."""
import datetime
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import ROOT

PACKAGES = ROOT / "build" / "oracles" / "aws"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIACHECK", "AWS_SECRET_ACCESS_KEY": "signing/key+1", "AWS_SESSION_TOKEN": "session//token==", "AWS_EC2_METADATA_DISABLED": "true"}
REGION = "eu-central-1"


def is_installed():
    return (PACKAGES / "installed.txt").exists()


@contextmanager
def packages():
    """In this process; moto itself runs in one of its own, whose Jinja2 is not the one that other tests look at."""
    sys.path.insert(0, str(PACKAGES))
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "moto")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "moto")
    try:
        yield
    finally:
        sys.path.remove(str(PACKAGES))


@contextmanager
def moto_server():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], env=dict(os.environ, PYTHONPATH=str(PACKAGES)),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end, "moto's server does not start"
                time.sleep(0.1)
        yield "http://127.0.0.1:%d" % port
    finally:
        server.kill()
        server.wait()


def client(service, endpoint):
    import boto3

    return boto3.client(service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")


def signed_again(method, path, headers, body, port):
    """The Authorization header that botocore gives the same request at the same time."""
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    _, region, service, _ = headers["authorization"].split("Credential=")[1].split(",")[0].split("/", 1)[1].split("/")
    signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    kept = {name: headers[name] for name in signed if name not in ("host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256")}
    request = AWSRequest(method, "http://127.0.0.1:%d%s" % (port, path), kept, body)
    at = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")

    class Now(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return at

        @classmethod
        def now(cls, tz=None):
            return at.replace(tzinfo=tz)

    kind = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    auth = kind(Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], KEYS["AWS_SESSION_TOKEN"]), service, region)
    clock = getattr(botocore.auth, "get_current_datetime", None)
    if clock:
        botocore.auth.get_current_datetime = lambda *_, **__: at
    real = botocore.auth.datetime
    botocore.auth.datetime = Now if isinstance(real, type) else type("module", (), {"datetime": Now, "timezone": datetime.timezone})
    try:
        auth.add_auth(request)
    finally:
        botocore.auth.datetime = real
        if clock:
            botocore.auth.get_current_datetime = clock
    return request.headers["Authorization"]


def action_of(method, path, headers, body):
    if "x-amz-target" in headers:
        return headers["x-amz-target"].split(".")[1]
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(urllib.parse.parse_qsl(body.decode()))["Action"]
    return method


@contextmanager
def front(moto):
    """`seen` has (action, our signature, botocore's). `fails` makes it answer with that status instead. `outputs`: those of the stack, which
    moto leaves out where it was made by a change set."""

    class Front(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            action = action_of(self.command, self.path, headers, body)
            self.server.seen.append((action, headers["authorization"], signed_again(self.command, self.path, headers, body, self.server.server_port)))
            extra = {}
            if self.server.fails:
                status, answer = self.server.fails, b'{"__type": "InternalServiceError", "message": "not now"}'
            else:
                kept = {name: value for name, value in headers.items() if name not in ("host", "content-length", "connection", "accept-encoding", "expect", "x-amz-security-token")}
                request = urllib.request.Request(moto + self.path, body or None, kept, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=60) as response:
                        status, answer, extra = response.status, response.read(), dict(response.headers.items())
                except urllib.error.HTTPError as error:
                    status, answer, extra = error.code, error.read(), dict(error.headers.items())
            if action == "DescribeStacks" and self.server.outputs and b"_COMPLETE</StackStatus>" in answer:
                outputs = "".join("<member><OutputKey>%s</OutputKey><OutputValue>%s</OutputValue></member>" % one for one in self.server.outputs.items())
                answer = answer.replace(b"</StackStatus>", b"</StackStatus><Outputs>%s</Outputs>" % outputs.encode())
            self.send_response(status)
            for name, value in extra.items():
                if name.lower() in ("content-type", "etag", "x-amz-version-id"):
                    self.send_header(name, value)
            self.send_header("Content-Length", extra.get("Content-Length", "0") if self.command == "HEAD" else str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    server.fails, server.seen, server.outputs = 0, [], {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
