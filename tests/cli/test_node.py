"""JavaScript and TypeScript files as functions, through the whole binary."""
import json

import pytest
from harness import write

ORDERS = '''
import type { Context } from "sabir";
import * as sabir from "sabir";

/** An order. */
export interface Order {
  /** Its number. */
  id: string;
  total: number;
  items: { name: string; count?: number }[];
  state: "open" | "shipped";
}

/**
 * Finds an order.
 *
 * Effect: read
 * @param orderId its number
 */
export async function lookupOrder(orderId: string, context: Context): Promise<Order> {
  return { id: orderId, total: 3.5, items: [{ name: context.user }], state: "open" };
}

/** Total of an order with tax. */
export function withTax(order: Order, rate = 0.5): number {
  return order.total * (1 + rate);
}

/** A slug, by Ruby. */
export async function address(title: string): Promise<string> {
  return "/" + (await sabir.call("slugify", { text: title }));
}

/** Keeps a value. */
export async function keep(value: unknown): Promise<void> {
  await sabir.memory.put("from_node", value);
}

export function* count(to: number): Generator<number> {
  for (let i = 1; i <= to; i++) yield i;
}

export function fails(): string {
  return (undefined as any).nothing;
}
'''


@pytest.fixture
def shop(machine, project):
    machine.use_node()
    write(project / "functions/node/orders.ts", ORDERS.lstrip())
    return project


def test_a_typescript_files_exports_are_functions_with_their_types(machine, shop):
    done = machine.sabir("functions", "orders.lookup_order", "--json", cwd=shop)
    assert done.code == 0, done
    assert done.json["effect"] == "read" and done.json["summary"] == "Finds an order.", done
    assert done.json["input_schema"] == {"type": "object", "properties": {"order_id": {"type": "string", "description": "its number"}},
                                         "required": ["order_id"], "additionalProperties": False}, done
    assert done.json["output_schema"]["properties"]["state"] == {"type": "string", "enum": ["open", "shipped"]}, done
    found = machine.sabir("call", "orders.lookup_order", "order_id=A1", "--user", "ada", "--json", cwd=shop)
    assert found.code == 0 and json.loads(found.out)["items"] == [{"name": "ada"}], found


def test_arguments_are_checked_against_the_interfaces(machine, shop):
    good = {"id": "a", "total": 10, "items": [], "state": "open"}
    done = machine.sabir("call", "orders.with_tax", "order:=" + json.dumps(good), cwd=shop)
    assert done.code == 0 and float(done.out) == 15, done
    wrong = machine.sabir("call", "orders.with_tax", "order:=" + json.dumps(dict(good, total="10", state="gone")), cwd=shop)
    assert wrong.code == 1 and "/order/total" in wrong.err and "shipped" in wrong.err, wrong


def test_calls_cross_into_other_languages_and_back(machine, shop):
    write(shop / "functions/python/shop.py", 'import sabir\n\n\ndef shop(title: str) -> str:\n    """Python, Node, Ruby."""\n'
          '    return sabir.call("orders.address", title=title)\n')
    done = machine.sabir("call", "shop", "title=Été à Paris", cwd=shop)
    assert done.code == 0 and done.out.strip() == "/ete-a-paris", done
    assert machine.sabir("call", "orders.keep", 'value:={"a": [1, 2]}', cwd=shop).code == 0
    assert machine.sabir("memory", "get", "from_node", cwd=shop).out.split() == ["{", '"a":', "[", "1,", "2", "]", "}"] or \
        json.loads(machine.sabir("memory", "get", "from_node", cwd=shop).out) == {"a": [1, 2]}


def test_a_generators_values_come_as_a_list(machine, shop):
    done = machine.sabir("call", "orders.count", "to=3", "--json", cwd=shop)
    assert done.code == 0 and json.loads(done.out) == [1, 2, 3], done


def test_an_error_names_the_users_file_and_line(machine, shop):
    line = ORDERS.lstrip().splitlines().index("  return (undefined as any).nothing;") + 1
    done = machine.sabir("call", "orders.fails", cwd=shop)
    assert done.code == 1 and "functions/node/orders.ts:%d" % line in done.err and "nothing" in done.err, done


def test_a_syntax_error_is_told_with_file_and_line(machine, shop):
    write(shop / "functions/node/broken.ts", "export function fine(): string { return 'a'; }\nexport function broken(a: string {\n")
    done = machine.sabir("check", cwd=shop)
    assert done.code == 1 and "functions/node/broken.ts:2" in done.text, done
    assert machine.sabir("call", "orders.count", "to=1", cwd=shop).code == 0


def test_plain_javascript_has_its_types_from_jsdoc(machine, shop):
    write(shop / "functions/node/words.js", "/**\n * Joins words.\n * Effect: read\n * @param {string[]} words - what to join\n"
          " * @param {string} [between=\"-\"] - what stands between them\n * @returns {string} the text\n */\n"
          "export function joinWords(words, between = \"-\") {\n  return words.join(between);\n}\n")
    done = machine.sabir("call", "words.join_words", 'words:=["a", "b"]', cwd=shop)
    assert done.code == 0 and done.out.strip() == "a-b", done
    wrong = machine.sabir("call", "words.join_words", "words:=[1]", cwd=shop)
    assert wrong.code == 1 and "/words/0" in wrong.err, wrong


def test_a_node_that_is_too_old_is_named_by_doctor(machine, shop):
    (machine.bin / "node").unlink()
    write(machine.bin / "node", "#!/bin/sh\necho v18.19.0\n").chmod(0o755)
    done = machine.sabir("doctor", cwd=shop)
    assert done.code == 1 and "18.19.0" in done.out and "22.7" in done.out, done


def test_the_worker_keeps_every_rule_of_the_protocol(machine):
    machine.use_node()
    done = machine.sabir("conformance", "--language", "node", "--json")
    assert done.code == 0, done
    report = done.json
    checks = report["checks"] if "checks" in report else report["languages"][0]["checks"]
    assert len(checks) == 26 and all(check["outcome"] == "pass" for check in checks), done
