"""What `sabir new` and `sabir deploy init` write for other machines, held against the checkers of their own worlds: Terraform's formatter and
parser, AWS's provider (each resource and argument), checkov, cfn-lint, hadolint, shellcheck, systemd, compose's schema, the devcontainer's reader."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from harness import ROOT, write

PLACE = ROOT / "build" / "oracles" / "infrastructure"
pytestmark = pytest.mark.skipif(not (PLACE / "installed.txt").exists(), reason="the checkers are installed where CI=true script/setup ran")
ALL = "python,ruby,cpp,node,go,php,java,rust,shell"


def group_of(item):
    return "infrastructure"


def checker(*words, cwd, module=True):
    command = [sys.executable, "-m", *words] if module else [str(PLACE / "python" / "bin" / words[0]), *words[1:]]
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=dict(os.environ, PYTHONPATH=str(PLACE / "python")), text=True, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory, binary, cache, made_projects):
    """A project in all languages with the files of every target."""
    from harness import Machine

    folder = tmp_path_factory.mktemp("written")
    machine = Machine(folder, binary, cache)
    path = folder / "shop"
    shutil.copytree(made_projects(ALL), path, symlinks=True)
    for target in ("docker", "cloudformation", "terraform"):
        done = machine.sabir("deploy", "init", target, cwd=path)
        assert done.code == 0, done
    yield path
    machine.stop()


def parsed(folder):
    """The module's files by the parser of HCL that checkov brings."""
    script = "import hcl2, json, sys; print(json.dumps({name: hcl2.load(open(name)) for name in sys.argv[1:]}))"
    files = sorted(str(one) for one in folder.rglob("*.tf"))
    done = subprocess.run([sys.executable, "-c", script, *files], env=dict(os.environ, PYTHONPATH=str(PLACE / "python")), text=True, timeout=60, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def known_arguments(folder):
    """Resource type -> block path -> arguments, as the provider's types of @cdktf/provider-aws document them."""
    text = (PLACE / "provider" / folder / "index.d.ts").read_text()
    # A block's interface has the block's name in it, and every member the provider's own name in its link.
    out = {}
    for interface, body in re.findall(r"export interface (\w+) (?:extends [\w.]+ )?\{(.*?)\n\}", text, re.S):
        out[interface] = dict(re.findall(r"\{@link \S+#(\w+)[^}]*\}\s*\*?\s*(?:\n\s*\*[^\n]*)*\n\s*readonly \w+\??: ([^;]+);", body))
    return out


def check_block(block, interface, interfaces, where, wrong):
    arguments = interfaces[interface]
    for name, value in block.items():
        if name in {"lifecycle", "depends_on", "count", "for_each", "provider", "__start_line__", "__end_line__"} or name.startswith("__"):
            continue
        if name not in arguments:
            wrong.append("%s.%s" % (where, name))
            continue
        kind = re.match(r"(\w+?)(\[\])?(?: \| .*)?$", arguments[name])
        inner = kind.group(1) if kind else ""
        if inner in interfaces:
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    check_block(one, inner, interfaces, where + "." + name, wrong)


def test_every_resource_and_argument_of_the_aws_module_is_one_of_the_provider(written):
    wrong, seen = [], 0
    for file, content in parsed(written / "deploy" / "terraform" / "aws").items():
        for kind, folder, suffix in (("resource", "%s", "Config"), ("data", "data-aws-%s", "Config")):
            for entry in content.get(kind, []):
                for type_name, blocks in entry.items():
                    type_name = type_name.strip('"')
                    short = type_name.removeprefix("aws_").replace("_", "-")
                    place = folder % short
                    assert (PLACE / "provider" / place / "index.d.ts").exists(), "there is no %s %s" % (kind, type_name)
                    interfaces = known_arguments(place)
                    main = ("DataAws" if kind == "data" else "") + "".join(part.capitalize() for part in short.split("-")) + suffix
                    main = next((name for name in interfaces if name.lower() == main.lower()), None)
                    assert main, (type_name, sorted(interfaces))
                    for name, block in blocks.items():
                        seen += 1
                        check_block(block, main, interfaces, type_name + "." + name.strip('"'), wrong)
    assert wrong == []
    assert seen > 25


def test_an_argument_that_the_provider_does_not_have_is_seen():
    interfaces = known_arguments("instance")
    wrong = []
    check_block({"ami": "a", "user_dada": "b", "metadata_options": [{"http_tokens": "required", "http_tokenz": "x"}]}, "InstanceConfig", interfaces, "aws_instance.x", wrong)
    assert wrong == ["aws_instance.x.user_dada", "aws_instance.x.metadata_options.http_tokenz"]


def test_the_module_names_exactly_the_secrets_by_their_arns(written):
    iam = (written / "deploy/terraform/aws/service/iam.tf").read_text()
    statement = iam[iam.index('sid       = "ReadWhatIsGranted"'):]
    statement = statement[:statement.index("}\n}")]
    assert "secretsmanager:GetSecretValue" in statement and "*" not in statement and "secret.arn" in statement
    assert iam.count("secretsmanager:") == 1


def test_terraform_s_own_formatter_changes_nothing(written):
    program = shutil.which("terraform") or shutil.which("tofu")
    if not program:
        pytest.skip("neither terraform nor tofu is here")
    done = subprocess.run([program, "fmt", "-check", "-recursive", "-diff", "deploy/terraform"], cwd=written, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0 and done.stdout == "", done.stdout


@pytest.mark.parametrize("framework,place", [("terraform", "deploy/terraform/aws"), ("cloudformation", "deploy/cloudformation"), ("dockerfile", ".")])
def test_checkov_finds_nothing_that_no_reason_stands_beside(written, framework, place):
    code, said = checker("checkov.main", "-d", place, "--framework", framework, "--skip-download", "--output", "json", "--skip-path", "functions", cwd=written)
    report = json.loads(said[said.index("{"):])
    assert code == 0 and report["summary"]["failed"] == 0, said
    assert report["summary"]["passed"] > 5
    for skipped in report["results"]["skipped_checks"]:
        assert len(skipped["check_result"]["suppress_comment"]) > 30, skipped


def test_cfn_lint_says_nothing(written):
    code, said = checker("cfn-lint", "deploy/cloudformation/service.yml", cwd=written, module=False)
    assert (code, said.strip()) == (0, ""), said
    assert len((written / "deploy/cloudformation/service.yml").read_bytes()) < 51_200
    # And it would: an argument that is none.
    broken = (written / "deploy/cloudformation/service.yml").read_text().replace("HttpTokens: required", "HttpTokenz: required")
    write(written / "broken.yml", broken)
    code, said = checker("cfn-lint", "broken.yml", cwd=written, module=False)
    (written / "broken.yml").unlink()
    assert code != 0 and "HttpTokenz" in said


def test_the_two_shapes_start_the_same_instance(written):
    script = (written / "deploy/terraform/aws/service/instance.sh").read_text()
    template = (written / "deploy/cloudformation/service.yml").read_text()
    assert "\n".join(" " * 16 + line if line else "" for line in script.rstrip("\n").split("\n")) in template
    assert "${" not in script
    assert len(script) < 15_000  # user data ends at 16 KB


def test_the_instance_s_scripts_pass_shellcheck_and_its_unit_systemd(written, tmp_path):
    script = (written / "deploy/terraform/aws/service/instance.sh").read_text()
    write(tmp_path / "instance.sh", "#!/bin/bash\napp=a environment=b region=c bucket=d prefix=e volume=f port=1 log_group=g packages=h\n" + script)
    release = re.search(r"<<'END'\n(#!/bin/bash.*?)\nEND\n", script, re.S).group(1)
    write(tmp_path / "sabir-release", release + "\n")
    code, said = checker("shellcheck", "--severity=warning", "-e", "SC2086", "instance.sh", "sabir-release", cwd=tmp_path, module=False)
    assert code == 0, said
    unit = re.search(r"\.service\" <<END\n(.*?)\nEND\n", script, re.S).group(1)
    for name, value in {"$app": "notes", "$environment": "staging", "$region": "eu-central-1", "$port": "8080", "$state": "/srv/notes/shared/.sabir", "\\$": "$"}.items():
        unit = unit.replace(name, value)
    unit = unit.replace("ExecStart=/var/lib/sabir/engine", "ExecStart=/bin/true").replace("User=sabir", "User=daemon")
    write(tmp_path / "notes.service", unit + "\n")
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    done = subprocess.run(["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", str(tmp_path / "notes.service")], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert "notes.service:" not in done.stdout and "Unknown" not in done.stdout, done.stdout
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=45", str(tmp_path / "notes.service")], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode == 0, done.stdout[-1500:]


def test_hadolint_and_compose_s_schema_and_the_devcontainer_s_reader_say_nothing(written):
    code, said = checker("hadolint", "--ignore", "DL3008", "Dockerfile", cwd=written, module=False)  # versions of packages are Debian's
    assert code == 0, said
    code, said = checker("check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yml", cwd=written)
    assert code == 0, said
    write(written / "broken.yml", (written / "compose.yml").read_text().replace("cap_drop: [ALL]", "cap_drop: ALL"))
    code, _ = checker("check_jsonschema", "--builtin-schema", "vendor.compose-spec", "broken.yml", cwd=written)
    (written / "broken.yml").unlink()
    assert code != 0
    node = shutil.which("node")
    done = subprocess.run([node, str(PLACE / "node/node_modules/@devcontainers/cli/devcontainer.js"), "read-configuration", "--workspace-folder", str(written), "--docker-path", "true"],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)["configuration"]
    assert read["name"] == "shop" and read["forwardPorts"] == [8080]


def test_no_secret_is_in_any_of_them(written):
    """Names of secrets are in it, and no way to give their values."""
    for file in [*written.glob("deploy/**/*"), written / "Dockerfile", written / "compose.yml"]:
        if file.is_file() and file.suffix != ".j2":
            text = file.read_text()
            assert not re.search(r"(?i)(password|secret_string|access_key)\s*[=:]\s*\S", text), file
    assert "COPY config/secrets" not in (written / "Dockerfile").read_text()
    assert "config/secrets.json" in (written / ".dockerignore").read_text()
