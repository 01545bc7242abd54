"""Types that a project's sources do not tell: asked of the interpreter by `sabir setup`, kept, and dropped when they may have changed."""
import json
import sys

import pytest
from harness import write

MODELS = """
from dataclasses import dataclass, field
from enum import Enum
from typing import List, NamedTuple, Optional
print("imported")
class Status(Enum):
    OPEN = "open"
    DONE = "done"
class Price(NamedTuple):
    cents: int
    currency: str = "EUR"
@dataclass
class Item:
    name: str
    price: Price
    parts: "List[Item]" = field(default_factory=list)
@dataclass
class Order:
    items: List[Item]
    status: Status = Status.OPEN
    note: Optional[str] = None
    def total(self):
        return sum(item.price.cents for item in self.items)
"""
SOURCE = '''
from acme_shop.models import Order, Item
def total(order: Order) -> int:
    """What an order costs."""
    return order.total()
def first(order: Order, count: int = 1) -> list[Item]:
    """The first items."""
    return order.items[:count]
'''
PYDANTIC = '''
from acme_shop.customers import Customer
def greet(customer: Customer) -> Customer:
    """Greets."""
    return customer
'''
CUSTOMERS = """
from pydantic import BaseModel, Field
class Customer(BaseModel):
    full_name: str = Field(alias="fullName", min_length=2)
    friends: list["Customer"] = []
"""


@pytest.fixture
def shop(machine):
    """A project whose functions take types of an installed package; marker grows with each import of it."""
    project = machine.folder / "shop"
    assert machine.sabir("new", project, "--languages", "python").code == 0
    site = machine.folder / "site"
    marker = machine.folder / "imports"
    write(site / "acme_shop/__init__.py", "open(%r, 'a').write('x')\n" % str(marker))
    write(site / "acme_shop/models.py", MODELS)
    write(site / "acme_shop/customers.py", CUSTOMERS)
    machine.env["PYTHONPATH"] = str(site)
    write(project / "requirements.txt", "# acme-shop is there already\n")
    write(project / "functions/python/orders.py", SOURCE)
    machine.project, machine.site = project, site
    machine.imports = lambda: len(marker.read_text()) if marker.exists() else 0
    return machine


def listed(machine, name):
    answer = machine.sabir("functions", "--json", cwd=machine.project)
    return {one["address"]: one for one in answer.json["functions"]}[name]


def test_a_package_s_dataclass_is_introspected_at_setup(shop):
    before = listed(shop, "orders.total")
    assert before["input_schema"]["properties"]["order"] == {} and "introspected" not in before
    assert "'Order' is not known" in before["warnings"][0]
    assert shop.imports() == 0, "listing ran the user's code"

    told = shop.sabir("setup", "--json", cwd=shop.project, timeout=120)
    assert told.code == 0, told
    assert told.json["introspected"] == [{"language": "python", "file": "functions/python/orders.py", "functions": 2, "unchanged": False, "problem": ""}]
    imports = shop.imports()
    after = listed(shop, "orders.total")
    assert after["introspected"] is True and "warnings" not in after
    order = after["input_schema"]["properties"]["order"]
    assert order["required"] == ["items"] and order["additionalProperties"] is False
    assert order["properties"]["status"] == {"enum": ["open", "done"]}
    assert "acme_shop.models.Item" in after["input_schema"]["$defs"]
    assert listed(shop, "orders.first")["output_schema"]["type"] == "array"
    assert listed(shop, "orders.first")["input_schema"]["properties"]["count"] == {"type": "integer", "default": 1}
    assert shop.imports() == imports, "a listing ran the user's code"

    good = {"items": [{"name": "a", "price": [250], "parts": [{"name": "b", "price": [1, "USD"]}]}], "status": "done"}
    called = shop.sabir("call", "orders.total", "--args", json.dumps({"order": good}), cwd=shop.project)
    assert called.out.strip() == "250", called
    for wrong in ({"items": [{"name": "a"}]}, {"items": [], "status": "gone"}, {"items": [{"name": "a", "price": [1], "parts": [{"name": 1}]}]}, {}):
        refused = shop.sabir("call", "orders.total", "--args", json.dumps({"order": wrong}), cwd=shop.project)
        assert refused.code == 1 and "/order" in refused.err, refused


def test_what_was_told_holds_until_something_changes(shop):
    def setup():
        return shop.sabir("setup", "--json", cwd=shop.project, timeout=120).json["introspected"]

    assert [one["unchanged"] for one in setup()] == [False]
    assert [one["unchanged"] for one in setup()] == [True]
    # The source itself.
    write(shop.project / "functions/python/orders.py", SOURCE + "\n# changed\n")
    assert "introspected" not in listed(shop, "orders.total")
    assert [one["unchanged"] for one in setup()] == [False]
    # The packages.
    write(shop.project / "requirements.txt", "# another comment\n")
    assert "introspected" not in listed(shop, "orders.total")
    assert [one["unchanged"] for one in setup()] == [False]
    # The package's own file.
    write(shop.site / "acme_shop/models.py", MODELS.replace("note: Optional[str] = None", "remark: Optional[str] = None"))
    assert "introspected" not in listed(shop, "orders.total")
    assert [one["unchanged"] for one in setup()] == [False]
    assert "remark" in listed(shop, "orders.total")["input_schema"]["properties"]["order"]["properties"]


def test_pydantic_describes_its_own_models(shop):
    write(shop.project / "functions/python/greetings.py", PYDANTIC)
    assert shop.sabir("setup", cwd=shop.project, timeout=120).code == 0
    greet = listed(shop, "greetings.greet")
    assert greet["introspected"] is True
    definition = greet["input_schema"]["$defs"]["pydantic.acme_shop.customers.Customer"]
    assert definition["properties"]["fullName"]["minLength"] == 2 and definition["required"] == ["fullName"]
    value = {"fullName": "Ada", "friends": [{"fullName": "Bob", "friends": []}]}
    called = shop.sabir("call", "greetings.greet", "--json", "--args", json.dumps({"customer": value}), cwd=shop.project)
    assert called.json == value, called
    refused = shop.sabir("call", "greetings.greet", "--args", json.dumps({"customer": {"fullName": "Ada", "friends": [{"fullName": "B"}]}}), cwd=shop.project)
    assert refused.code == 1 and "/customer/friends/0/fullName" in refused.err, refused


def test_a_file_that_does_not_import_stays_unknown_and_is_named(shop):
    write(shop.project / "functions/python/lost.py", "from nowhere_to_be_found import Thing\ndef use(thing: Thing) -> int:\n    return 1\n")
    told = shop.sabir("setup", "--json", cwd=shop.project, timeout=120).json["introspected"]
    lost = [one for one in told if one["file"].endswith("lost.py")][0]
    assert lost["functions"] == 0 and "nowhere_to_be_found" in lost["problem"]
    assert "introspected" not in listed(shop, "lost.use") and listed(shop, "orders.total")["introspected"] is True


def test_a_language_of_the_project_s_own_may_have_an_introspect_program(shop):
    """Any language.yml may name one: here a copy of Python's description under another name, with a program of its own."""
    import shutil
    resources = shop.sabir("sdk", "path", "python", cwd=shop.project).out.strip()
    own = shop.project / "languages" / "serpent"
    shutil.copytree(resources.rsplit("/", 1)[0], own)
    text = (own / "language.yml").read_text().replace("name: python", "name: serpent").replace("[.py]", "[.snake]")
    text = text.replace("{resources}/introspect.py", "{resources}/asks.py")
    (own / "language.yml").write_text(text)
    (own / "asks.py").write_text("""
import json, sys
asked = json.load(sys.stdin)
one = asked["files"][0]
assert one["functions"] == [{"name": "bite", "receiver": "", "parameters": ["what"], "result": False}], one
json.dump({"version": 1, "files": [{"path": one["path"], "functions": [{"name": "bite", "parameters": {"what": {"schema": {"type": "string", "maxLength": 3}}}}]}]}, sys.stdout)
""")
    write(shop.project / "functions/serpent/teeth.snake", "def bite(what: Prey, times: int = 1) -> bool:\n    return True\n")
    shop.sabir("setup", cwd=shop.project, timeout=120)
    bite = listed(shop, "teeth.bite")
    assert bite["introspected"] is True and bite["input_schema"]["properties"]["what"] == {"type": "string", "maxLength": 3}
