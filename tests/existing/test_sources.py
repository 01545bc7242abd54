"""Existing code in other languages, served where it stands; what sabir.yml may say of it; what `sabir init` proposes."""
import os
import shutil
import subprocess
import sys
import time

import pytest
from harness import ROOT, write

HERE = ROOT / "tests/existing"


def project(machine, text, folder="shop"):
    write(machine.folder / folder / "sabir.yml", text)
    return machine.folder / folder


def addresses(machine, path):
    done = machine.sabir("functions", "--json", cwd=path)
    assert done.code == 0, done
    return {one["address"]: one for one in done.json["functions"]}


# ---- Ruby and Python by path -----------------------------------------------------------------------------------------

def test_ruby_is_served_by_its_own_names(machine):
    shop = project(machine, "sources:\n  - {path: lib, language: ruby, expose: [\"Shop::Prices.*\", greet], prefix: old}\n")
    write(shop / "lib/shop/prices.rb", "require_relative \"../tax\"\nmodule Shop\n  class Prices\n    # @param cents [Integer]\n    # @return [Integer]\n"
          "    # @effect read\n    def self.gross(cents)\n      cents + Tax.of(cents)\n    end\n    def self.__internal; end\n  end\nend\n")
    write(shop / "lib/tax.rb", "module Tax\n  def self.of(cents)\n    cents / 5\n  end\nend\n")
    write(shop / "lib/hello.rb", "# @param name [String]\n# @effect read\ndef greet(name)\n  \"Hello #{name}\"\nend\n")
    assert set(addresses(machine, shop)) == {"old.shop.prices.gross", "old.hello.greet"}
    done = machine.sabir("call", "old.shop.prices.gross", "cents=100", cwd=shop)
    assert done.code == 0 and done.out.strip() == "120", done
    done = machine.sabir("call", "greet", "name=Ada", cwd=shop)
    assert done.code == 0 and done.out.strip() == "Hello Ada", done


def test_python_by_path_is_imported_as_its_application_does(machine):
    shop = project(machine, "sources:\n  - {path: src/acme_orders, language: python, boot: boot.py}\n")
    write(shop / "boot.py", "import builtins\nbuiltins.acme_rate = 3\n")
    write(shop / "src/acme_orders/__init__.py", "RATE = 2\n")
    write(shop / "src/acme_orders/deep/__init__.py", "")
    write(shop / "src/acme_orders/deep/sums.py", "import builtins\nfrom acme_orders import RATE\nfrom ..deep import __name__ as package\n\n\n"
          "def total(numbers: list[int]) -> int:\n    \"\"\"A sum.\n\n    Effect: read\n    \"\"\"\n    return sum(numbers) * RATE * builtins.acme_rate\n\n\n"
          "def name() -> str:\n    \"\"\"Effect: read\"\"\"\n    return __name__ + \" \" + package\n")
    done = machine.sabir("call", "deep.sums.total", "numbers:=[1, 2]", cwd=shop)
    assert done.code == 0 and done.out.strip() == "18", done
    assert machine.sabir("call", "deep.sums.name", cwd=shop).out.strip() == "acme_orders.deep.sums acme_orders.deep"


def test_variables_reach_only_the_source_that_asks_for_them(machine):
    code = "import os\n\n\ndef token():\n    \"\"\"Effect: read\"\"\"\n    return os.environ.get(\"SHOP_TOKEN\")\n"
    shop = project(machine, "sources:\n  - {path: a, language: python, prefix: a, env: {pass: [SHOP_TOKEN]}}\n  - {path: b, language: python, prefix: b}\n")
    write(shop / "a/one.py", code)
    write(shop / "b/two.py", code)
    write(shop / "functions/python/own.py", code)
    env = {"SHOP_TOKEN": "t0ken"}
    assert machine.sabir("call", "a.one.token", "--json", cwd=shop, env=env).json == "t0ken"
    assert machine.sabir("call", "b.two.token", "--json", cwd=shop, env=env).json is None
    assert machine.sabir("call", "own.token", "--json", cwd=shop, env=env).json is None


def test_a_saved_source_is_served_anew(machine):
    shop = project(machine, "sources:\n  - {path: lib, language: ruby}\n")
    number = lambda n: "module Thing\n  # @effect read\n  def self.number\n    %d\n  end\nend\n" % n
    write(shop / "lib/thing.rb", number(1))
    machine.start_engine(shop)
    assert machine.sabir("call", "thing.number", cwd=shop).out.strip() == "1"
    write(shop / "lib/thing.rb", number(2))
    end = time.monotonic() + 10
    while machine.sabir("call", "thing.number", cwd=shop).out.strip() != "2":
        assert time.monotonic() < end


def test_node_and_php_are_served_from_anywhere(machine):
    shop = project(machine, "sources:\n  - {path: web/src, language: node, boot: web/boot.mjs}\n")
    machine.use_node()
    write(shop / "web/boot.mjs", "globalThis.rate = 4;\n")
    write(shop / "web/src/sums.ts", "/** Twice.\n * @effect read\n */\nexport function times(n: number): number { return n * (globalThis as any).rate; }\n")
    done = machine.sabir("call", "sums.times", "n=3", cwd=shop)
    assert done.code == 0 and done.out.strip() == "12", done


# ---- what sabir.yml may say ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("entry, at, said", [
    ("{path: lib, language: ruby, bot: x.rb}", "bot:", "boot"),
    ("{path: lib, language: rubby}", "language:", "ruby"),
    ("{path: lib}", "{", "language"),
    ("{language: ruby}", "{", "path"),
    ("{path: nowhere, language: ruby}", "path:", "no such file or folder"),
    ("{path: ../outside, language: ruby}", "path:", "leaves the project"),
    ("{path: lib, language: ruby, boot: lib}", "boot:", "boot must name a file"),
    ("{path: lib, language: ruby, prefix: Über}", "prefix:", "prefix"),
    ("{path: lib, language: ruby, env: {pass: [A-B]}}", "A-B", "A-B"),
    ("{path: lib, language: go, boot: lib/a.rb}", "boot:", "no boot files"),
    ("{path: lib, language: ruby, library: x}", "library:", "links no libraries"),
    ("{path: lib, language: ruby, expose: all}", "expose:", "must be a list"),
])
def test_mistakes_are_told_with_their_place(machine, entry, at, said):
    line = "- " + entry
    shop = project(machine, "sources:\n%s\n" % line)
    write(shop / "lib/a.rb", "")
    write(machine.folder / "outside/a.rb", "")
    done = machine.sabir("check", cwd=shop)
    assert done.code == 1 and "sabir.yml:2:%d: " % (line.index(at) + 1) in done.out and said in done.out, done


def test_code_elsewhere_is_named_absolute_and_must_be_the_users_own(machine):
    there = machine.folder / "outside"
    write(there / "tools.rb", "module Tools\n  # @effect read\n  def self.one\n    1\n  end\nend\n")
    shop = project(machine, "sources:\n- {path: %s, language: ruby}\n" % there)
    done = machine.sabir("call", "tools.one", cwd=shop)
    assert done.code == 0 and done.out.strip() == "1", done
    assert addresses(machine, shop)["tools.one"]["file"] == str(there / "tools.rb")
    there.chmod(0o777)
    done = machine.sabir("check", cwd=shop)
    assert done.code == 1 and "another user can write there" in done.out, done


def test_what_is_exposed_but_not_there_is_told(machine):
    shop = project(machine, "sources:\n- {path: lib, language: ruby, expose: [Thing.number, Thing.nummer]}\n")
    write(shop / "lib/thing.rb", "module Thing\n  # @effect read\n  def self.number\n    1\n  end\nend\n")
    done = machine.sabir("check", cwd=shop)
    assert done.code == 1 and "Thing.nummer" in done.text and "sabir.yml:2" in done.text, done
    assert set(addresses(machine, shop)) == {"thing.number"}


# ---- a Python package with pydantic models ----------------------------------------------------------------------------

@pytest.fixture
def acme(machine):
    shop = project(machine, "languages: [python]\nsources:\n  - {package: acme_orders, language: python}\n")
    assert machine.run(sys.executable, "-m", "venv", "--without-pip", ".venv", cwd=shop).code == 0
    packages = next((shop / ".venv/lib").iterdir()) / "site-packages"
    # pip and pydantic are those of the tests' own environment.
    own = subprocess.run([sys.executable, "-c", "import pydantic; print(pydantic.__path__[0])"], stdout=subprocess.PIPE, text=True, check=True).stdout
    (packages / "of_the_tests.pth").write_text(os.path.dirname(own.strip()) + "\n")
    done = machine.run(sys.executable, "-m", "pip", "--python", shop / ".venv/bin/python", "install", "--quiet", "--no-index", "--no-deps",
                       "--no-build-isolation", "--disable-pip-version-check", str(copy_of(machine, "acme_orders")), cwd=shop)
    assert done.code == 0, done
    return shop


def copy_of(machine, name):
    copy = machine.folder / "copies" / name
    shutil.copytree(HERE / name, copy)
    return copy


def test_modules_of_an_installed_package_take_and_return_its_models(machine, acme):
    listed = addresses(machine, acme)
    assert set(listed) == {"acme_orders.currency", "acme_orders.pricing.quote", "acme_orders.pricing.cheapest", "acme_orders.pricing.label"}, listed
    assert "site-packages/acme_orders/pricing.py" in listed["acme_orders.pricing.quote"]["file"]
    order = '{"number": "A1", "lines": [{"sku": "x", "quantity": 2, "cents": 150}]}'
    done = machine.sabir("call", "acme_orders.pricing.quote", "order:=" + order, "discount=0.5", "--json", cwd=acme)
    assert done.code == 0 and done.json == {"number": "A1", "cents": 150, "lines": 1}, done
    refused = machine.sabir("call", "acme_orders.pricing.quote", "order:=" + order.replace("2", "0"), "--json", cwd=acme)
    assert refused.code == 1 and refused.json["error"]["type"] == "invalid_arguments" and "quantity" in refused.json["error"]["message"], refused
    assert machine.sabir("call", "acme_orders.pricing.label", "cents=1250", cwd=acme).out.strip() == "12.50 EUR"


def test_a_package_that_is_not_installed_is_told_and_the_rest_works(machine):
    shop = project(machine, "sources:\n  - {package: acme_orders, language: python}\n")
    write(shop / "functions/python/own.py", "def one() -> int:\n    \"\"\"Effect: read\"\"\"\n    return 1\n")
    done = machine.sabir("call", "own.one", cwd=shop)
    assert done.code == 0 and done.out.strip() == "1" and "acme_orders" in done.err and "sabir.yml:2" in done.err, done


def test_init_adopts_a_python_package(machine):
    package = copy_of(machine, "acme_orders")
    done = machine.sabir("init", "--yes", cwd=package)
    assert done.code == 0, done
    assert {"acme_orders.currency", "acme_orders.pricing.quote"} <= set(addresses(machine, package))
    assert machine.sabir("call", "acme_orders.currency", cwd=package, env={"PYTHONPATH": own_packages()}).out.strip() == "EUR"


def own_packages():
    return subprocess.run([sys.executable, "-c", "import pydantic, os; print(os.path.dirname(pydantic.__path__[0]))"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


# ---- a Go module with dependencies -------------------------------------------------------------------------------------

def test_init_adopts_a_go_module_and_its_packages_are_called(machine):
    shop = copy_of(machine, "go_shop")
    shown = machine.sabir("init", "--dry-run", "--json", cwd=shop)
    assert [source["path"] for source in shown.json["sources"] if source["path"] != "money"] == ["internal/tax", "pricing"], shown
    assert machine.sabir("init", "--yes", cwd=shop).code == 0
    listed = {}
    for _ in range(4):
        # What reads Go is compiled on its first use, for which a busy machine may need more than a listing has.
        listed = listed or addresses(machine, shop)
    assert {"pricing.total", "pricing.title"} <= set(listed) and listed["pricing.total"]["file"] == "pricing/pricing.go", listed
    done = machine.sabir("call", "pricing.total", 'lines:=[{"sku": "x", "quantity": 3, "cents": 111}]', "--json", cwd=shop, timeout=300)
    assert done.code == 0 and done.json == 390, done
    titled = machine.sabir("call", "pricing.title", "name=a red shirt", cwd=shop)
    assert titled.code == 0 and titled.out.strip() == "A Red Shirt", titled
    empty = machine.sabir("call", "pricing.total", "lines:=[]", cwd=shop)
    assert empty.code == 1 and "an order without lines has no price" in empty.err, empty
    inner = machine.sabir("call", "tax.with", "cents=100", cwd=shop)
    assert inner.code == 0 and inner.out.strip() == "120", inner
    # The compiler's own place in the user's file.
    write(shop / "pricing/broken.go", "package pricing\n\n// Broken is.\nfunc Broken() string {\n\treturn nothing\n}\n")
    broken = machine.sabir("call", "pricing.broken", cwd=shop)
    assert broken.code == 1 and "pricing/broken.go:5:9" in broken.err, broken


# ---- a C++ library of a CMake project ----------------------------------------------------------------------------------

def test_init_adopts_a_cmake_project_and_links_its_library(machine):
    settings = copy_of(machine, "settings")
    assert machine.sabir("init", "--yes", cwd=settings).code == 0
    listed = addresses(machine, settings)
    assert set(listed) == {"settings.entries", "settings.kinds", "settings.largest"}, listed
    assert listed["settings.entries"]["file"] == "include/settings/settings.h" and listed["settings.entries"]["line"] == 18
    checked = machine.sabir("check", cwd=settings)
    assert "watch" in checked.text and "settings.h:" in checked.text, checked
    done = machine.sabir("call", "settings.entries", "text=b: 2\na: [1]\nc: x", "--json", cwd=settings, timeout=300)
    assert done.code == 0 and done.json == [{"key": "b", "value": "2"}, {"key": "c", "value": "x"}], done
    assert machine.sabir("call", "settings.kinds", "text=b: 2\na: [1]", "--json", cwd=settings).json == {"scalar": 1, "sequence": 1}
    assert machine.sabir("call", "settings.largest", cwd=settings).out.strip() == "100"
    failed = machine.sabir("call", "settings.entries", "text=[1]", cwd=settings)
    assert failed.code == 1 and "the text is no mapping" in failed.err, failed
    assert not list(settings.glob("**/CMakeCache.txt")), "nothing is built inside the project"
    # The library's own source: built anew, and its mistakes are told where they are.
    source = settings / "src/settings.cc"
    source.write_text(source.read_text().replace('"scalar"', '"plain"'))
    assert machine.sabir("call", "settings.kinds", "text=b: 2", "--json", cwd=settings, timeout=300).json == {"plain": 1}
    source.write_text(source.read_text().replace("return out;", "return nothing;", 1))
    broken = machine.sabir("call", "settings.kinds", "text=b: 2", cwd=settings, timeout=300)
    assert broken.code == 1 and "src/settings.cc:%d" % (source.read_text()[:source.read_text().index("return nothing")].count("\n") + 1) in broken.err, broken


def test_init_finds_nothing_in_an_empty_folder(machine):
    folder = machine.folder / "empty"
    folder.mkdir()
    done = machine.sabir("init", "--yes", cwd=folder)
    assert done.code == 1 and "sabir new" in done.err and list(folder.iterdir()) == [], done
