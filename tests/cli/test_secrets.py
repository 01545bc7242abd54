"""sabir secrets: places, one after the other; age's own program reads what is encrypted; what is searched for and found."""
import base64
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from harness import write

VALUE = "sk-check-0f9e8d7c6b5a4938"


@pytest.fixture
def secrets(machine, project):
    def ask(*words, **options):
        return machine.sabir("secrets", *words, cwd=project, **options)

    return ask


def config(project, text, name="secrets_config.yml"):
    write(project / "config" / name, text)


def decrypted(machine, project, identity=None):
    identity = identity or machine.folder / "home" / ".config" / "sabir" / "age.txt"
    done = machine.run("age", "--decrypt", "-i", identity, project / "config/secrets.json.age")
    return json.loads(done.out) if done.code == 0 else done.err


@pytest.fixture
def home(machine):
    machine.env["HOME"] = str(machine.folder / "home")
    (machine.folder / "home").mkdir(exist_ok=True)
    return machine.folder / "home"


def git(project, *words):
    subprocess.run(["git", "-c", "user.email=t@example.org", "-c", "user.name=t", *words], cwd=project, check=True, stdout=subprocess.DEVNULL)


def test_age_reads_what_is_stored_and_those_it_is_for_can_be_changed(secrets, machine, project, home):
    done = secrets("set", "openai_api_key", "--place", "age", input=VALUE)
    assert done.code == 1 and "sabir secrets recipients init" in done.err, done
    key = secrets("recipients", "init", "--json").json
    assert key["added"] and key["key"].startswith("age1") and os.stat(key["identity"]).st_mode & 0o777 == 0o600
    assert secrets("recipients", "init", "--json").json["added"] is False
    done = secrets("set", "openai_api_key", "--place", "age", input=VALUE)
    assert done.code == 0 and "config/secrets.json.age" in done.out, done
    assert VALUE.encode() not in (project / "config/secrets.json.age").read_bytes()
    assert decrypted(machine, project) == {"openai_api_key": VALUE}
    assert secrets("get", "openai_api_key", "--reveal").out.strip() == VALUE
    assert {"name": "openai_api_key", "source": "config/secrets.json.age"} in secrets("list", "--json").json["secrets"]
    # Written where it is kept from now on.
    assert "secrets.json.age" in secrets("set", "other_key", input="other-value-1").out and not (project / "config/secrets.json").exists()

    bob = machine.folder / "bob.txt"
    machine.run("age-keygen", "-o", bob)
    public = machine.run("age-keygen", "-y", bob).out.strip()
    assert "no identity matched" in decrypted(machine, project, bob)
    assert secrets("recipients", "add", public, "--comment", "bob").code == 0
    assert decrypted(machine, project, bob)["other_key"] == "other-value-1"
    assert secrets("recipients", "list", "--json").json["recipients"] == [key["key"], public]
    assert secrets("recipients", "rm", public).code == 0
    assert "no identity matched" in decrypted(machine, project, bob)
    assert secrets("recipients", "rm", public).code == 1

    # Somebody for whom it is not encrypted is told what to do, and changes nothing.
    before = (project / "config/secrets.json.age").read_bytes()
    done = secrets("set", "third_key", input="third-value-1", env={"SABIR_AGE_IDENTITY": str(bob)})
    assert done.code == 1 and "cannot be decrypted" in done.err and "one of them adds you" in done.err, done
    assert (project / "config/secrets.json.age").read_bytes() == before


def test_a_running_engine_takes_a_changed_value(secrets, machine, project, home):
    write(project / "functions/python/keys.py", 'from sabir import secret\n\n\ndef length() -> int:\n    """Of a key.\n\n    Secrets: some_key\n    Effect: read\n    """\n    return len(secret("some_key"))\n')
    secrets("recipients", "init")
    secrets("set", "some_key", "--place", "age", input="a" * 20)
    machine.start_engine(project)
    assert machine.sabir("call", "keys.length", cwd=project).out.strip() == "20"
    secrets("rotate", "some_key", "--generate", "33")
    assert machine.sabir("call", "keys.length", cwd=project).out.strip() == "33"


def test_the_order_of_places_is_the_environment_s(secrets, project, home):
    secrets("set", "some_key", input="from-the-file-1")
    assert secrets("get", "some_key", "--reveal", env={"SOME_KEY": "from-the-shell-1"}).out.strip() == "from-the-shell-1"
    config(project, "order: [file, environment]\n")
    assert secrets("get", "some_key", "--reveal", env={"SOME_KEY": "from-the-shell-1"}).out.strip() == "from-the-file-1"
    config(project, "order: [environment]\n", "secrets_config.staging.yml")
    done = secrets("get", "some_key", "--env", "staging")
    assert done.code == 1 and "--env staging" in done.err, done
    for text, line, said in (("ordr: [file]\n", 1, "Did you mean order?"), ("order: [file, vualt]\n", 1, "Did you mean vault?"), ("order: [file, file]\n", 1, "twice"),
                             ("order: [file]\nrefresh: soon\n", 2, "refresh"), ("aws:\n  regon: x\n", 2, "Did you mean region?"), ("vault: {auth: approle}\n", 1, "vault.role"),
                             ("vault: {auth: ldap}\n", 1, "token, approle, kubernetes"), ("order: file\n", 1, "order")):
        config(project, text)
        done = secrets("list")
        assert done.code == 1 and "config/secrets_config.yml:%d:" % line in done.err and said in done.err, (text, done)


def test_import_takes_env_files_and_json_or_nothing_at_all(secrets, machine, project):
    write(machine.folder / "app.env", "# keys\nexport FIRST_KEY='one $two'\nSECOND_KEY=three-four # said\nTHIRD_KEY=\"two\\nlines\"\nEMPTY=\nOPENAI_API_KEY=YOUR_OPENAI_API_KEY\n")
    done = secrets("import", str(machine.folder / "app.env"), "--json")
    assert done.json["stored"] == ["first_key", "second_key", "third_key"] and done.json["left_out"] == ["empty", "openai_api_key"], done
    assert secrets("export").json == {name: "[secret:%s]" % name for name in ("first_key", "second_key", "third_key")}
    assert secrets("export", "--reveal").json == {"first_key": "one $two", "second_key": "three-four", "third_key": "two\nlines"}
    # What is written a shell reads, and so does import.
    text = secrets("export", "--format", "env", "--reveal").out
    shell = subprocess.run(["sh", "-c", "%s\nprintf '%%s|%%s|%%s' \"$FIRST_KEY\" \"$SECOND_KEY\" \"$THIRD_KEY\"" % text], stdout=subprocess.PIPE, text=True, check=True)
    assert shell.stdout == "one $two|three-four|two\nlines"
    assert secrets("import", "-", "--json", "--missing", input=text + "NEW_KEY=fresh-one\n").json["stored"] == ["new_key"]
    assert secrets("import", "-", "--json", input='{"json-key": "from-json"}').json["stored"] == ["json_key"]
    for text, said in (("A=1\nB\n", "standard input:2"), ("A='x\n", "does not end"), ('{"a": 1}', "no text"), ("ä=1\n", "standard input:1"), ("1A=x\n", "cannot be a secret's name")):
        done = secrets("import", "-", input=text)
        assert done.code == 1 and said in done.err, (text, done)
    assert "a" not in secrets("export").json


def test_rotate_changes_what_is_there_alone(secrets):
    assert secrets("rotate", "some_key", "--generate", "40").code == 1
    secrets("set", "some_key", input="value-number-1")
    done = secrets("rotate", "some_key", "--generate", "40", "--reveal", "--json")
    assert done.code == 0 and len(done.json["value"]) == 40 and secrets("get", "some_key", "--reveal").out.strip() == done.json["value"], done
    assert secrets("rotate", "some_key", input=done.json["value"]).code == 2
    assert secrets("rotate", "some_key", "--generate", "3").code == 2
    done = secrets("rotate", "some_key", input="value-number-2")
    assert done.code == 0 and "value-number-2" not in done.text, done


def test_scan_finds_values_in_files_and_history_and_keys_of_services(secrets, project):
    git(project, "init", "-q")
    secrets("set", "some_key", input=VALUE)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "begin")
    assert secrets("scan").code == 0
    key = "AKIA" + "ZQ3DTVWX7YHBNM2K"
    forms = [VALUE, base64.b64encode(("user:" + VALUE).encode()).decode(), VALUE.encode().hex(), "".join("%%%02X" % b if chr(b) in "-" else chr(b) for b in VALUE.encode())]
    write(project / "functions/python/bad.py", "".join("X = '%s'\n" % form for form in forms) + "K = '%s'\nL = '%s'  # not-a-secret\n" % (key, key) + "M = 'AKIA%s'\n" % ("X" * 16))
    found = secrets("scan", "--json")
    assert found.code == 1 and VALUE not in found.out and key not in found.out, found
    lines = [(one["line"], one["what"]) for one in found.json["findings"] if one["file"] == "functions/python/bad.py"]
    assert lines == [(1, "the secret some_key"), (2, "the secret some_key, encoded"), (3, "the secret some_key, encoded"), (5, "an access key of AWS")], found
    git(project, "add", "-A")
    git(project, "commit", "-qm", "bad")
    (project / "functions/python/bad.py").unlink()
    git(project, "commit", "-qam", "mended")
    found = secrets("scan", "--json")
    assert found.code == 1 and all(one["commit"] for one in found.json["findings"]) and found.json["history"] and found.json["commits"] == 3, found
    assert {one["what"] for one in found.json["findings"]} == {"the secret some_key", "the secret some_key, encoded", "an access key of AWS"}, found
    assert secrets("scan", "--no-history").code == 0


def test_doctor_says_what_is_wrong(secrets, project, home):
    git(project, "init", "-q")
    secrets("set", "some_key", input="abc")
    done = secrets("doctor", "--json")
    said = [one["message"] for one in done.json["findings"]]
    assert done.code == 0 and any("shorter than 6 bytes" in one for one in said) and any("'openai_api_key'" in one and "not set" in one for one in said), done
    done = secrets("doctor", "--json", env={"SOME_KEY": "another-value"})
    problems = [one for one in done.json["findings"] if one["level"] == "problem"]
    assert done.code == 1 and "SOME_KEY overrides" in problems[0]["message"] and problems[0]["hint"] == "unset SOME_KEY", done
    write(project / ".gitignore", "")
    assert "git does not ignore" in secrets("doctor").out
    os.chmod(project / "config/secrets.json", 0o644)
    done = secrets("doctor")
    assert done.code == 1 and "chmod 600 config/secrets.json" in done.out, done


class VaultStandIn(BaseHTTPRequestHandler):
    """Vault's key-value store, version 2, as its documentation describes it: no package of the real server can be had here."""

    def answer(self, status, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        kept, path = self.server.kept, urlsplit(self.path).path
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        self.server.seen.append((self.command, self.path, self.headers.get("X-Vault-Namespace")))
        if path == "/v1/auth/approle/login":
            good = body == {"role_id": "role-1", "secret_id": "secret-1"}
            return self.answer(200, {"auth": {"client_token": "hvs.login", "lease_duration": 3600}}) if good else self.answer(400, {"errors": ["invalid role or secret ID"]})
        if self.headers.get("X-Vault-Token") not in ("hvs.token", "hvs.login"):
            return self.answer(403, {"errors": ["permission denied"]})
        kind, _, name = path[len("/v1/kv/"):].partition("/")
        if kind == "metadata" and "list=true" in self.path:
            keys = [key[len(name) + 1:] for key in kept if key.startswith(name + "/")]
            return self.answer(200, {"data": {"keys": keys}}) if keys else self.answer(404, {"errors": []})
        if self.command == "POST":
            kept[name] = body["data"]
            return self.answer(200, {"data": {"version": 1}})
        if self.command == "DELETE":
            kept[name] = None
            return self.answer(204)
        if name in kept and kept[name] is None:
            return self.answer(404, {"data": {"data": None, "metadata": {"deletion_time": "2026-11-28T00:00:00Z"}}})
        return self.answer(200, {"data": {"data": kept[name], "metadata": {"version": 1}}}) if name in kept else self.answer(404, {"errors": []})

    do_GET = do_POST = do_DELETE = handle_any

    def log_message(self, *_):
        pass


@pytest.fixture
def vault():
    server = ThreadingHTTPServer(("127.0.0.1", 0), VaultStandIn)
    server.kept, server.seen = {}, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_vault_keeps_them_with_a_token_or_a_role(secrets, machine, project, home, vault):
    address = "http://127.0.0.1:%d" % vault.server_port
    config(project, "order: [environment, vault]\nvault: {address: '%s', mount: kv, namespace: team}\n" % address, "secrets_config.production.yml")
    staged = ("--env", "production")
    done = secrets("set", "some_key", *staged, input="vault-value-1")
    assert done.code == 1 and "VAULT_TOKEN" in done.err, done
    token = {"VAULT_TOKEN": "hvs.token"}
    assert "stored some_key in Vault" in secrets("set", "some_key", *staged, input="vault-value-1", env=token).out
    assert vault.kept == {"shop/production/some_key": {"value": "vault-value-1"}} and vault.seen[-1][2] == "team"
    assert secrets("get", "some_key", "--reveal", *staged, env=token).out.strip() == "vault-value-1"
    assert {"name": "some_key", "source": "Vault"} in secrets("list", "--json", *staged, env=token).json["secrets"]
    done = secrets("get", "some_key", *staged, env={"VAULT_TOKEN": "hvs.other"})
    assert done.code == 1 and "permission denied" in done.err and "policy" in done.err, done
    write(home / ".vault-token", "hvs.token\n")
    assert secrets("rm", "some_key", *staged).code == 0
    assert secrets("get", "some_key", *staged).code == 1 and secrets("rm", "some_key", *staged).code == 1
    vault.kept["shop/production/some_key"] = {"password": "x"}
    assert "no text named 'value'" in secrets("get", "some_key", *staged).err
    config(project, "order: [vault]\nvault: {address: '%s', mount: kv, auth: approle, role: role-1}\n" % address, "secrets_config.production.yml")
    assert secrets("set", "some_key", *staged, input="vault-value-2", env={"VAULT_SECRET_ID": "secret-1"}).code == 0
    done = secrets("list", *staged, env={"VAULT_SECRET_ID": "secret-2"})
    assert done.code == 1 and "invalid role or secret ID" in done.err, done
