"""Rust files as functions, through the whole binary."""
import json
import time

import pytest
from harness import write

ORDERS = '''use std::time::Duration;

use sabir::{args, Context, Value};
use serde::{Deserialize, Serialize};

/// An order of the shop.
#[derive(Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: String,
    pub total: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Finds an order.
///
/// Effect: read
pub fn lookup_order(order_id: String, caller: &Context) -> Order {
    Order { id: order_id, total: 3.5, by: Some(caller.user.clone()) }
}

/// A title's address, by Ruby.
pub fn address(title: &str) -> sabir::Result<String> {
    Ok(format!("/{}", sabir::call::<String>("slugify", args! { text: title })?))
}

/// Keeps a value.
pub fn keep(value: &Value) -> sabir::Result<u64> {
    sabir::memory::put("from_rust", value)
}

pub fn count(to: u32) -> impl Iterator<Item = u32> {
    1..=to
}

pub fn fails() -> Result<(), String> {
    Err("no stock".into())
}

pub fn panics(list: Vec<i64>) -> i64 {
    list[3]
}

pub fn overflows(of: u8) -> u8 {
    of + 1
}

/// Ends as soon as its caller gives up.
///
/// Timeout: 300ms
/// Effect: read
pub fn waits() -> sabir::Result<String> {
    sabir::sleep(Duration::from_secs(20))?;
    Ok("late".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!(count(2).collect::<Vec<_>>(), [1, 2]);
    }
}
'''


@pytest.fixture
def shop(machine, project):
    machine.use_rust()
    write(project / "functions/rust/orders.rs", ORDERS)
    return project


def line_of(text):
    return next(number for number, line in enumerate(ORDERS.splitlines(), 1) if text in line)


def test_public_functions_are_listed_and_called_with_their_types(machine, shop):
    done = machine.sabir("functions", "orders.lookup_order", "--json", cwd=shop)
    assert done.code == 0, done
    assert done.json["effect"] == "read" and done.json["summary"] == "Finds an order.", done
    assert done.json["input_schema"] == {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"], "additionalProperties": False}
    assert done.json["output_schema"]["properties"]["id"] == {"type": "string", "description": "Its number."}, done
    found = machine.sabir("call", "orders.lookup_order", "order_id=A1", "--user", "ada", "--json", cwd=shop, timeout=300)
    assert found.code == 0 and found.json == {"id": "A1", "total": 3.5, "by": "ada"}, found

    # Calls cross into other languages and back.
    write(shop / "functions/python/shop.py", 'import sabir\n\n\ndef shop(title: str) -> str:\n    """Python, Rust, Ruby."""\n'
          '    return sabir.call("orders.address", title=title)\n')
    done = machine.sabir("call", "shop", "title=Été à Paris", cwd=shop)
    assert done.code == 0 and done.out.strip() == "/ete-a-paris", done
    assert machine.sabir("call", "orders.keep", 'value:={"a": [1, 2.5]}', cwd=shop).code == 0
    assert json.loads(machine.sabir("memory", "get", "from_rust", cwd=shop).out) == {"a": [1, 2.5]}

    # An iterator is streamed.
    done = machine.sabir("call", "--stream", "orders.count", "to=3", "--json", cwd=shop)
    assert done.code == 0 and [json.loads(line) for line in done.out.split()] == [1, 2, 3], done

    # Errors and panics are told, and where.
    failed = machine.sabir("call", "orders.fails", cwd=shop)
    assert failed.code == 1 and "no stock" in failed.err, failed
    panicked = machine.sabir("call", "orders.panics", "list:=[1]", cwd=shop)
    assert panicked.code == 1 and "functions/rust/orders.rs:%d" % line_of("list[3]") in panicked.err and "out of bounds" in panicked.err, panicked
    over = machine.sabir("call", "orders.overflows", "of:=255", cwd=shop)
    assert over.code == 1 and "functions/rust/orders.rs:%d" % line_of("of + 1") in over.err and "overflow" in over.err, over

    # A deadline reaches the function.
    begin = time.monotonic()
    done = machine.sabir("call", "orders.waits", "--json", cwd=shop)
    assert done.code == 1 and done.json["error"]["type"] == "timeout", done
    assert time.monotonic() - begin < 15


def test_broken_files_are_told_and_the_others_work(machine, shop):
    write(shop / "functions/rust/broken.rs", "pub struct Helper;\n\npub fn broken() -> String {\n    undefined_thing()\n}\n\npub fn helper() -> i32 {\n    1\n}\n")
    write(shop / "functions/rust/leans.rs", "use super::broken::helper;\n\npub fn leans() -> i32 {\n    helper()\n}\n")
    write(shop / "functions/rust/glued.rs", "use std::fmt;\n\npub struct Odd;\n\nimpl fmt::Display for Odd {\n    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {\n"
          "        f.write_str(\"odd\")\n    }\n}\n\n// Nothing can show this error.\npub struct Mute;\n\npub fn glued() -> Result<i32, Mute> {\n    Err(Mute)\n}\n")
    write(shop / "functions/rust/later.rs", "pub fn later( {\n")
    broken = machine.sabir("call", "broken.broken", cwd=shop, timeout=300)
    assert broken.code == 1 and "functions/rust/broken.rs:4:5" in broken.err and "undefined_thing" in broken.err, broken
    leans = machine.sabir("call", "leans", cwd=shop)
    assert leans.code == 1 and "functions/rust/broken.rs does not compile" in leans.err, leans
    glued = machine.sabir("call", "glued", cwd=shop)
    assert glued.code == 1 and "functions/rust/glued.rs:14" in glued.err and "Mute" in glued.err, glued
    works = machine.sabir("call", "orders.count", "to=1", "--json", cwd=shop)
    assert works.code == 0 and works.json == [1], works
    done = machine.sabir("check", cwd=shop)
    assert done.code == 1 and "functions/rust/later.rs:1" in done.text, done


def test_two_projects_share_a_cache_and_no_function(machine, tmp_path):
    machine.use_rust()
    shops = []
    for name in ["first", "second"]:
        project = tmp_path / name
        assert machine.sabir("new", project, "--languages", "rust").code == 0
        write(project / "functions/rust/mine.rs", "pub fn mine() -> &'static str {\n    \"%s\"\n}\n" % name)
        shops.append(project)

    def told(project):
        done = machine.sabir("call", "mine", "--json", cwd=project, timeout=300)
        assert done.code == 0, done
        return done.json
    assert [told(project) for project in shops] == ["first", "second"]
    # What was written before the other project was built is compiled all the same.
    write(shops[0] / "functions/rust/mine.rs", "pub fn mine() -> &'static str {\n    \"changed\"\n}\n")
    write(shops[1] / "functions/rust/mine.rs", "pub fn mine() -> &'static str {\n    \"changed too\"\n}\n")
    assert [told(project) for project in reversed(shops)] == ["changed too", "changed"]


def test_the_crates_of_a_cargo_toml_and_a_library_of_the_project(machine, shop):
    write(shop / "Cargo.toml", '[package]\nname = "shop-core"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\nnear = { path = "third_party/near" }\nserde = { version = "1", features = ["derive"] }\n')
    write(shop / "src/lib.rs", "pub mod prices;\n")
    write(shop / "src/prices.rs", "#[derive(serde::Serialize, serde::Deserialize)]\npub struct Price {\n    pub cents: i64,\n}\n")
    write(shop / "third_party/near/Cargo.toml", '[package]\nname = "near"\nversion = "0.1.0"\nedition = "2021"\n')
    write(shop / "third_party/near/src/lib.rs", "pub fn round(n: i64) -> i64 {\n    n / 10 * 10\n}\n")
    write(shop / "functions/rust/taxes.rs", "use shop_core::prices::Price;\n\npub fn tax(price: Price) -> Price {\n    Price { cents: near::round(price.cents * 19 / 100) }\n}\n")
    done = machine.sabir("call", "taxes.tax", 'price:={"cents": 1000}', "--json", cwd=shop, timeout=300)
    assert done.code == 0 and done.json == {"cents": 190}, done
    listed = machine.sabir("functions", "taxes.tax", "--json", cwd=shop)
    assert listed.json["input_schema"]["properties"]["price"]["properties"] == {"cents": {"type": "integer"}}, listed
    # What the functions use is part of what they are built from.
    write(shop / "third_party/near/src/lib.rs", "pub fn round(n: i64) -> i64 {\n    n / 100 * 100\n}\n")
    again = machine.sabir("call", "taxes.tax", 'price:={"cents": 1000}', "--json", cwd=shop, timeout=300)
    assert again.code == 0 and again.json == {"cents": 100}, again
    assert not (shop / "Cargo.lock").exists() and not (shop / "target").exists() and not (shop / "functions/rust/Cargo.toml").exists()


def test_failing_tests_are_told_with_their_place(machine, shop):
    write(shop / "functions/rust/tests/orders_test.rs", "use crate::orders::count;\n\n#[test]\nfn works() {}\n\n#[test]\nfn parts() {\n    assert_eq!(count(1).count(), 2, \"too few\");\n}\n\n"
          "#[test]\n#[ignore = \"later\"]\nfn later() {}\n")
    write(shop / "functions/rust/tests/broken_test.rs", "#[test]\nfn never() {\n    nothing_there();\n}\n")
    done = machine.sabir("test", "functions/rust", cwd=shop, timeout=300)
    assert done.code == 1 and "functions/rust/tests/orders_test.rs:8" in done.text and "too few" in done.text, done
    assert "functions/rust/tests/broken_test.rs:3" in done.text and "nothing_there" in done.text, done
    assert "2 passed" in done.text and "2 failed" in done.text and "1 skipped" in done.text, done
