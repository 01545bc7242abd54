"""Which interpreter serves a project and why, what installs its packages, and what `sabir doctor` says of both."""
import os
import shutil
import sys
from pathlib import Path

import pytest
from harness import write

RUBY = "# @effect read\ndef which\n  RbConfig.ruby\nend\n"
PYTHON = "import sys\n\n\ndef prefix() -> str:\n    \"\"\"Effect: read\"\"\"\n    return sys.prefix\n"


@pytest.fixture
def shop(machine):
    # No manager of the machine's own decides.
    for name in list(machine.env):
        if name.startswith(("PYENV_", "RBENV_", "NVM_", "MISE_", "ASDF_", "UV_")):
            del machine.env[name]
    folder = machine.folder / "shop"
    write(folder / "sabir.yml", "name: shop\n")
    write(folder / "functions/ruby/here.rb", RUBY)
    write(folder / "functions/python/own.py", PYTHON)
    return folder


def install(machine, folder, program, real):
    """A version manager's installation: a program that says its own version."""
    number = Path(folder).name.lstrip("v")
    path = machine.folder / "home" / folder / program
    write(path, "#!/bin/sh\n[ \"$*\" != --version ] || { echo \"%s %s\"; exit 0; }\nexec %s \"$@\"\n" % (Path(real).name, number, real))
    path.chmod(0o755)
    return path


def row(machine, shop, language):
    done = machine.sabir("doctor", "--json", cwd=shop)
    return next(one for one in done.json["languages"] if one["language"] == language)


@pytest.mark.parametrize("pin, text, folder, manager", [
    (".ruby-version", "3.3.0\n", ".rbenv/versions/3.3.0", "rbenv"),
    (".ruby-version", "ruby-3.3\n", ".rbenv/versions/3.3.6", "rbenv"),
    (".tool-versions", "nodejs 22.7.0\nruby 3.3.0\n", ".local/share/mise/installs/ruby/3.3.0", "mise"),
    ("mise.toml", "[tools]\nruby = \"3.3\"\n", ".local/share/mise/installs/ruby/3.3.1", "mise"),
    (".tool-versions", "ruby 3.3.0\n", ".asdf/installs/ruby/3.3.0", "asdf"),
])
def test_the_version_that_a_file_asks_for_serves(machine, shop, pin, text, folder, manager):
    write(shop / pin, text)
    program = install(machine, folder, "bin/ruby", shutil.which("ruby", path=machine.env["PATH"]))
    install(machine, str(Path(folder).parent / "3.1.0"), "bin/ruby", "/bin/false")
    found = row(machine, shop, "ruby")
    assert found["ok"] and found["program"] == str(program), found
    assert pin in found["why"] and manager in found["why"] and found["asked"]["file"] == pin, found
    assert machine.sabir("call", "here.which", cwd=shop).code == 0


def test_the_newest_version_that_answers_is_taken(machine, shop):
    write(shop / ".nvmrc", "v22\n")
    write(shop / "functions/node/one.mjs", "/** @effect read */\nexport function one() { return 1; }\n")
    for number in ("22.7.0", "22.10.1", "22.9.0", "2.22.0"):
        install(machine, ".nvm/versions/node/v" + number, "bin/node", "/bin/true")
    found = row(machine, shop, "node")
    assert found["program"].endswith("v22.10.1/bin/node") and "nvm" in found["why"], found


def test_a_version_that_is_not_installed_is_named_with_the_command(machine, shop):
    write(shop / ".ruby-version", "3.9.9\n")
    install(machine, ".rbenv/versions/3.3.0", "bin/ruby", "/bin/true")
    done = machine.sabir("call", "here.which", "--json", cwd=shop)
    assert done.code == 1 and done.json["error"]["type"] == "unavailable", done
    assert "3.9.9" in done.json["error"]["message"] and "rbenv install 3.9.9" in done.json["error"]["hint"] and done.json["error"]["file"] == ".ruby-version", done
    assert machine.sabir("call", "own.prefix", cwd=shop).code == 0, "the other languages work"
    doctor = machine.sabir("doctor", cwd=shop)
    assert doctor.code == 1 and "rbenv install 3.9.9" in doctor.out and "here.which" in doctor.out and "own.prefix" not in doctor.out, doctor
    assert row(machine, shop, "ruby")["disables"] == ["here.which"]


def test_without_a_version_manager_path_decides_and_doctor_says_so(machine, shop):
    write(shop / ".ruby-version", "3.9.9\n")
    found = row(machine, shop, "ruby")
    assert found["ok"] and "asks for 3.9.9" in found["why"] and "no version manager" in found["why"], found
    write(shop / ".ruby-version", "system\n")
    assert "system" in row(machine, shop, "ruby")["why"]


def test_what_lies_in_the_project_comes_before_a_pin(machine, shop):
    write(shop / ".python-version", "3.99\n")
    (machine.folder / "home/.pyenv/versions").mkdir(parents=True)
    missing = machine.sabir("call", "own.prefix", cwd=shop)
    assert missing.code == 1 and "pyenv install 3.99" in missing.err, missing
    assert machine.run(sys.executable, "-m", "venv", "--without-pip", ".venv", cwd=shop).code == 0
    assert machine.sabir("call", "own.prefix", cwd=shop).out.strip() == str(shop / ".venv")
    assert row(machine, shop, "python")["why"] == "the project's .venv"


def setup(machine, shop, **options):
    done = machine.sabir("setup", "--json", cwd=shop, **options)
    return done, {step["what"]: step for step in done.json["steps"]}


def test_a_lock_file_chooses_the_tool_and_is_installed_once(machine, shop):
    write(shop / "uv.lock", "version = 1\n")
    write(shop / "requirements.txt", "nothing-is-called-this==1\n")
    counted = shop / "count"
    write(machine.bin / "uv", "#!/bin/sh\necho \"$*\" >>%s\nmkdir -p .venv/bin\nln -sf %s .venv/bin/python\n" % (counted, sys.executable)).chmod(0o755)
    done, steps = setup(machine, shop)
    assert done.code == 0 and list(steps) == ["installing uv.lock"] and not steps["installing uv.lock"]["unchanged"], done
    assert setup(machine, shop)[1]["installing uv.lock"]["unchanged"]
    assert counted.read_text() == "sync --frozen --quiet\n"
    write(shop / "uv.lock", "version = 1\n# changed\n")
    assert [step["what"] for step in machine.sabir("doctor", "--json", cwd=shop).json["setup"]] == ["installing uv.lock"]
    assert not setup(machine, shop)[1]["installing uv.lock"]["unchanged"]
    shutil.rmtree(shop / ".venv")
    assert not setup(machine, shop)[1]["installing uv.lock"]["unchanged"], "what it made is gone"


def test_an_active_environment_is_used_as_it_is(machine, shop):
    write(shop / "requirements.txt", "nothing-is-called-this==1\n")
    active = machine.folder / "active"
    assert machine.run(sys.executable, "-m", "venv", "--without-pip", active).code == 0
    done, steps = setup(machine, shop, env={"VIRTUAL_ENV": str(active)})
    assert done.code == 0 and steps == {}, done
    assert machine.sabir("call", "own.prefix", cwd=shop, env={"VIRTUAL_ENV": str(active)}).out.strip() == str(active)


def test_a_tool_that_is_missing_is_named_with_the_command(machine, shop):
    write(shop / "poetry.lock", "")
    tools = machine.folder / "few"
    tools.mkdir()
    for name in ("python3", "ruby", "sh", "env"):
        (tools / name).symlink_to(shutil.which(name, path=machine.env["PATH"]))
    few = {"PATH": str(tools)}
    doctor = machine.sabir("doctor", cwd=shop, env=few)
    assert doctor.code == 1 and "poetry is not installed" in doctor.out and "pip install --user poetry" in doctor.out, doctor
    done = machine.sabir("setup", cwd=shop, env=few)
    assert done.code == 1 and "poetry is not installed" in done.err, done


def test_uv_itself_prepares_a_project(machine, shop):
    write(shop / "pyproject.toml", "[project]\nname = \"shop\"\nversion = \"0.1.0\"\nrequires-python = \">=3.8\"\n\n[tool.uv]\npackage = false\n")
    write(shop / "uv.lock", "version = 1\nrequires-python = \">=3.8\"\n\n[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\nsource = { virtual = \".\" }\n")
    offline = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(machine.folder / "uv"), "UV_PYTHON": sys.executable}
    done, steps = setup(machine, shop, env=offline)
    assert done.code == 0 and steps["installing uv.lock"]["ok"], done
    assert machine.sabir("call", "own.prefix", cwd=shop).out.strip() == str(shop / ".venv")


@pytest.mark.parametrize("listed, what", [("requirements.txt", "installing requirements.txt"), ("pyproject.toml", "installing the project's own package")])
def test_requirements_go_into_the_projects_own_environment(machine, shop, listed, what):
    write(shop / "near/pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n\n[project]\nname = \"near\"\nversion = \"1.0\"\n")
    # A build backend of a few lines, so that nothing is fetched.
    write(shop / "near/backend.py", "import zipfile\n\n\ndef build_wheel(folder, settings=None, metadata=None):\n    name = \"near-1.0-py3-none-any.whl\"\n"
          "    with zipfile.ZipFile(folder + \"/\" + name, \"w\") as wheel:\n        wheel.writestr(\"near.py\", \"VALUE = 5\\n\")\n"
          "        wheel.writestr(\"near-1.0.dist-info/METADATA\", \"Metadata-Version: 2.1\\nName: near\\nVersion: 1.0\\n\")\n"
          "        wheel.writestr(\"near-1.0.dist-info/WHEEL\", \"Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n\")\n"
          "        wheel.writestr(\"near-1.0.dist-info/RECORD\", \"\")\n    return name\n")
    # A file of requirements, or a project file that is no package of its own.
    if listed == "requirements.txt":
        write(shop / "requirements.txt", "./near\n")
    else:
        write(shop / "pyproject.toml", "[project]\nname = \"shop\"\nversion = \"0.1.0\"\ndependencies = [\"near @ file://%s\"]\n" % (shop / "near"))
    write(shop / "functions/python/near_value.py", "import near\n\n\ndef near_value() -> int:\n    \"\"\"Effect: read\"\"\"\n    return near.VALUE\n")
    done, steps = setup(machine, shop, env={"PIP_NO_INDEX": "1"}, timeout=300)
    assert done.code == 0 and steps[what]["ok"], done
    value = machine.sabir("call", "near_value", cwd=shop)
    assert value.code == 0 and value.out.strip() == "5", value


def test_a_gemfile_without_a_lock_is_installed_and_serves(machine, shop):
    write(shop / "near/near.gemspec", "Gem::Specification.new do |gem|\n  gem.name = \"near\"\n  gem.version = \"1.0\"\n  gem.summary = \"near\"\n"
          "  gem.authors = [\"shop\"]\n  gem.files = [\"lib/near.rb\"]\nend\n")
    write(shop / "near/lib/near.rb", "module Near\n  VALUE = 5\nend\n")
    write(shop / "Gemfile", "source \"https://rubygems.org\"\n\ngem \"near\", path: \"near\"\n")
    write(shop / "functions/ruby/near_value.rb", "require \"near\"\n\n# @effect read\ndef near_value\n  Near::VALUE\nend\n")
    done, steps = setup(machine, shop, timeout=300)
    assert done.code == 0 and steps["installing the Gemfile"]["ok"], done
    value = machine.sabir("call", "near_value", cwd=shop)
    assert value.code == 0 and value.out.strip() == "5", value


def test_a_gemfile_whose_gems_are_here_leaves_the_project_as_it_was(machine, shop):
    write(shop / "Gemfile", "source \"https://rubygems.org\"\n\ngem \"rspec\", \"~> 3.0\"\n")
    done, steps = setup(machine, shop, timeout=300)
    assert done.code == 0 and steps["installing the Gemfile"]["ok"], done
    assert not (shop / "Gemfile.lock").exists() and not (shop / "vendor").exists() and not (shop / ".bundle").exists()


def test_a_broken_requirement_is_told_and_the_other_languages_are_prepared(machine, shop):
    write(shop / "requirements.txt", "./nowhere\n")
    done = machine.sabir("setup", cwd=shop, timeout=300)
    assert done.code == 1 and "nowhere" in done.err and "ruby" in done.out, done
