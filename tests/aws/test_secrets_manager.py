"""Secrets in AWS Secrets Manager: moto's server answers, and in front of it every request's signature is made again by botocore."""
import json
import time
import urllib.request

import aws_front
import pytest
from aws_front import KEYS
from harness import write
from serving import Served

pytestmark = pytest.mark.skipif(not aws_front.is_installed(), reason="moto and botocore are installed where CI=true script/setup ran")


def group_of(item):
    return "aws"


@pytest.fixture(scope="module", autouse=True)
def packages():
    with aws_front.packages():
        yield


@pytest.fixture(scope="module")
def moto():
    with aws_front.moto_server() as url:
        yield url


@pytest.fixture
def front(moto):
    with aws_front.front(moto) as server:
        yield server


@pytest.fixture
def secrets(machine, project, front):
    write(project / "config/secrets_config.staging.yml",
          "order: [environment, aws]\nrefresh: 1s\naws: {region: eu-central-1, endpoint: 'http://127.0.0.1:%d', prefix: %s}\n" % (front.server_port, machine.folder.name))

    def ask(*words, **options):
        return machine.sabir("secrets", *words, "--env", "staging", cwd=project, env={**KEYS, **options.pop("env", {})}, **options)

    return ask


def client(moto):
    return aws_front.client("secretsmanager", moto)


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


@pytest.mark.parametrize("how", ["serve", "engine"])
def test_a_project_at_work_takes_a_rotated_value_and_keeps_it_while_aws_is_away(secrets, machine, project, front, how):
    write(project / "functions/python/keys.py", 'from sabir import secret\n\n\ndef last() -> str:\n    """The end of a key.\n\n    Secrets: some_key\n    Effect: read\n    """\n    return "ends in " + secret("some_key")[-3:]\n')
    secrets("set", "some_key", input="some-value-one")
    machine.env.update(KEYS, SABIR_ENV="staging")
    if how == "serve":
        write(project / "sabir.yml", (project / "sabir.yml").read_text() + "expose: {rest: [keys.last]}\n")
        token = machine.sabir("tokens", "add", "web", "--scopes", "functions", "--env", "staging", "--json", cwd=project).json["token"]
        served = Served(machine, project, "--env", "staging")
        engine = served.process
    else:
        engine = machine.start_engine(project, env={"SABIR_ENV": "staging"})

    def last():
        if how == "engine":
            return machine.sabir("call", "keys.last", "--env", "staging", cwd=project).out.strip()
        asked = urllib.request.Request(served.address + "/functions/keys.last", data=b"{}", headers={"Content-Type": "application/json", "Authorization": "Bearer " + token})
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return json.load(answer)

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
