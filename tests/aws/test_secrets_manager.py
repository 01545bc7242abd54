"""Secrets in AWS Secrets Manager: moto's server answers, and in front of it every request's signature is made again by botocore."""
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from harness import ROOT, write

PACKAGES = ROOT / "build" / "oracles" / "aws"
pytestmark = pytest.mark.skipif(not (PACKAGES / "installed.txt").exists(), reason="moto and botocore are installed where CI=true script/setup ran")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIACHECK", "AWS_SECRET_ACCESS_KEY": "signing/key+1", "AWS_SESSION_TOKEN": "session//token==", "AWS_EC2_METADATA_DISABLED": "true"}


def group_of(item):
    return "aws"


@pytest.fixture(scope="module", autouse=True)
def packages():
    sys.path.insert(0, str(PACKAGES))
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "moto")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "moto")
    yield
    sys.path.remove(str(PACKAGES))


@pytest.fixture(scope="module")
def moto():
    """In a process of its own: its Jinja2 is not the one that other tests look at."""
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


def signed_again(headers, body, port):
    """The Authorization header that botocore gives the same request at the same time."""
    import datetime

    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    region = headers["authorization"].split("/")[2]
    request = AWSRequest("POST", "http://127.0.0.1:%d/" % port, {"content-type": headers["content-type"], "x-amz-target": headers["x-amz-target"]}, body)
    at = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")

    class Now(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return at

        @classmethod
        def now(cls, tz=None):
            return at.replace(tzinfo=tz)

    auth = botocore.auth.SigV4Auth(Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], KEYS["AWS_SESSION_TOKEN"]), "secretsmanager", region)
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


@pytest.fixture
def front(moto):
    """Checks what comes and passes it on to moto. `fails` makes it answer with that status instead."""
    seen = []

    class Front(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append((headers["x-amz-target"].split(".")[1], headers["authorization"], signed_again(headers, body, self.server.server_port)))
            if self.server.fails:
                status, answer = self.server.fails, b'{"__type": "InternalServiceError", "message": "not now"}'
            else:
                request = urllib.request.Request(moto + "/", body, {name: headers[name] for name in ("content-type", "x-amz-target", "authorization", "x-amz-date")})
                try:
                    with urllib.request.urlopen(request, timeout=30) as response:
                        status, answer = response.status, response.read()
                except urllib.error.HTTPError as error:
                    status, answer = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    server.fails, server.seen = 0, seen
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def secrets(machine, project, front):
    write(project / "config/secrets_config.staging.yml",
          "order: [environment, aws]\nrefresh: 1s\naws: {region: eu-central-1, endpoint: 'http://127.0.0.1:%d', prefix: %s}\n" % (front.server_port, machine.folder.name))

    def ask(*words, **options):
        return machine.sabir("secrets", *words, "--env", "staging", cwd=project, env={**KEYS, **options.pop("env", {})}, **options)

    return ask


def client(moto):
    import boto3

    return boto3.client("secretsmanager", endpoint_url=moto, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")


def test_written_read_rotated_and_removed_with_botocore_s_signatures(secrets, machine, front, moto):
    name = machine.folder.name + "/db_password"
    done = secrets("set", "db_password", input="first-value-1")
    assert done.code == 0 and "AWS Secrets Manager" in done.out, done
    assert client(moto).get_secret_value(SecretId=name)["SecretString"] == "first-value-1"
    client(moto).put_secret_value(SecretId=name, SecretString="by-hand-value-ü")
    assert secrets("get", "db_password", "--reveal").out.strip() == "by-hand-value-ü"
    assert secrets("rotate", "db_password", input="second-value-1").code == 0
    assert client(moto).get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "by-hand-value-ü"
    assert {"name": "db_password", "source": "AWS Secrets Manager"} in secrets("list", "--json").json["secrets"]
    assert secrets("rm", "db_password").code == 0
    done = secrets("get", "db_password")
    assert done.code == 1 and "is not set" in done.err, done
    assert secrets("rm", "db_password").code == 1
    # What was removed can be stored anew within the time that AWS keeps it.
    assert secrets("set", "db_password", input="third-value-1").code == 0
    assert client(moto).get_secret_value(SecretId=name)["SecretString"] == "third-value-1"
    assert {action for action, _, _ in front.seen} >= {"PutSecretValue", "CreateSecret", "GetSecretValue", "ListSecrets", "DeleteSecret", "RestoreSecret"}
    for action, ours, theirs in front.seen:
        assert ours == theirs, action


def test_a_served_project_takes_a_rotated_value_and_keeps_it_while_aws_is_away(secrets, machine, project, front):
    write(project / "functions/python/keys.py", 'from sabir import secret\n\n\ndef last() -> str:\n    """The end of a key.\n\n    Secrets: some_key\n    Effect: read\n    """\n    return "ends in " + secret("some_key")[-3:]\n')
    secrets("set", "some_key", input="some-value-one")
    machine.env.update(KEYS, SABIR_ENV="staging")
    engine = machine.start_engine(project, env={"SABIR_ENV": "staging"})

    def last():
        return machine.sabir("call", "keys.last", "--env", "staging", cwd=project).out.strip()

    def until(value):
        end = time.monotonic() + 20
        while last() != value and time.monotonic() < end:
            time.sleep(0.1)
        return last() == value

    assert last() == "ends in one"
    secrets("rotate", "some_key", input="some-value-two")
    assert until("ends in two")
    front.fails = 500
    asked = len(front.seen)
    end = time.monotonic() + 20
    # Until it has been asked for again in vain.
    while len(front.seen) < asked + 2 and time.monotonic() < end:
        assert last() == "ends in two"
        time.sleep(0.1)
    assert len(front.seen) >= asked + 2 and last() == "ends in two"
    front.fails = 0
    secrets("rotate", "some_key", input="some-value-six")
    assert until("ends in six")
    assert engine.poll() is None


def test_what_aws_refuses_is_said(secrets, front, machine, project):
    front.fails = 403
    done = secrets("get", "db_password")
    assert done.code == 1 and "secretsmanager:GetSecretValue" in done.err, done
    done = secrets("get", "db_password", env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(machine.folder / "nobody")})
    assert done.code == 1 and "there are no AWS credentials" in done.err and "AWS_PROFILE" in done.err, done
    write(machine.folder / "aws/credentials", "[work]\naws_access_key_id = AKIACHECK\naws_secret_access_key = signing/key+1\naws_session_token = session//token==\n")
    front.fails = 0
    profile = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "work", "AWS_SHARED_CREDENTIALS_FILE": str(machine.folder / "aws/credentials")}
    assert secrets("set", "db_password", input="by-profile-1", env=profile).code == 0
    assert secrets("get", "db_password", "--reveal", env=profile).out.strip() == "by-profile-1"
    assert all(ours == theirs for _, ours, theirs in front.seen)
    write(project / "config/secrets_config.staging.yml", "order: [aws]\naws: {region: eu-central-1, endpoint: 'http://127.0.0.1:1'}\n")
    done = secrets("list")
    assert done.code == 1 and "cannot connect to 127.0.0.1:1" in done.err, done
