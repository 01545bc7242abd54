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


@pytest.fixture
def bare(machine):
    """A project in Node alone: there is nothing else that `sabir setup` would prepare."""
    machine.use_node()
    path = machine.folder / "bare"
    made = machine.sabir("new", path, "--languages", "node")
    assert made.code == 0, made
    return path


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


def test_a_package_that_setup_installs_is_imported_with_its_types(machine, bare):
    write(bare / "packages/paints/package.json", json.dumps({"name": "paints", "version": "1.0.0", "type": "module", "main": "index.js", "types": "index.d.ts"}))
    write(bare / "packages/paints/index.js", "export const blend = (colours) => colours.join(\"+\");\n")
    write(bare / "packages/paints/index.d.ts", "export type Colour = \"red\" | \"blue\";\nexport declare function blend(colours: Colour[]): string;\n")
    write(bare / "package.json", json.dumps({"private": True, "type": "module", "dependencies": {"paints": "file:packages/paints"}}))
    write(bare / "package-lock.json", json.dumps({"lockfileVersion": 3, "requires": True, "packages": {
        "": {"dependencies": {"paints": "file:packages/paints"}}, "node_modules/paints": {"resolved": "packages/paints", "link": True},
        "packages/paints": {"version": "1.0.0"}}}))
    write(bare / "functions/node/mixing.ts", 'import {blend, type Colour} from "paints";\n\n'
          "export function mix(colours: Colour[]): string { return blend(colours); }\n")
    before = machine.sabir("call", "mixing.mix", 'colours:=["red"]', cwd=bare)
    assert before.code == 1 and "functions/node/mixing.ts:1" in before.err and "paints" in before.err and "sabir setup" in before.err, before
    made = machine.sabir("setup", cwd=bare, timeout=300)
    assert made.code == 0 and (bare / "node_modules/paints").exists(), made
    done = machine.sabir("call", "mixing.mix", 'colours:=["red", "blue"]', cwd=bare)
    assert done.code == 0 and done.out.strip() == "red+blue", done
    listed = machine.sabir("functions", "mixing.mix", "--json", cwd=bare)
    assert listed.json["input_schema"]["properties"]["colours"]["items"] == {"type": "string", "enum": ["red", "blue"]}, listed
    # Types of a package are described anew when they change.
    write(bare / "packages/paints/index.d.ts", "export type Colour = \"green\";\nexport declare function blend(colours: Colour[]): string;\n")
    again = machine.sabir("functions", "mixing.mix", "--json", cwd=bare)
    assert again.json["input_schema"]["properties"]["colours"]["items"] == {"type": "string", "enum": ["green"]}, again


def test_setup_takes_the_manager_of_the_lock_file(machine, bare):
    write(bare / "package.json", json.dumps({"private": True, "dependencies": {"paints": "file:packages/paints"}}))
    write(bare / "packages/paints/package.json", json.dumps({"name": "paints", "version": "1.0.0"}))
    for lock, manager in (("yarn.lock", "yarn"), ("pnpm-lock.yaml", "pnpm")):
        write(bare / lock, "# %s\n" % manager)
        write(machine.bin / manager, "#!/bin/sh\npwd > %s/told\necho %s \"$@\" >> %s/told\n" % (machine.folder, manager, machine.folder)).chmod(0o755)
        made = machine.sabir("setup", cwd=bare, timeout=300)
        assert made.code == 0, made
        assert (machine.folder / "told").read_text().splitlines() == [str(bare), manager + " install --frozen-lockfile"], made
        (bare / lock).unlink()
    write(bare / "pnpm-lock.yaml", "# changed\n")
    (machine.bin / "pnpm").write_text("#!/bin/sh\necho the registry is away >&2\nexit 1\n")
    failed = machine.sabir("setup", cwd=bare, timeout=300)
    assert failed.code == 1 and "the registry is away" in failed.text, failed
    # Without a lock file npm installs, and makes one.
    (bare / "pnpm-lock.yaml").unlink()
    made = machine.sabir("setup", cwd=bare, timeout=300)
    assert made.code == 0 and (bare / "node_modules/paints").exists() and (bare / "package-lock.json").is_file(), made


def test_a_sibling_files_types_are_read_again_when_they_change(machine, shop):
    write(shop / "functions/node/models.ts", 'export interface Parcel { weight: number }\n')
    write(shop / "functions/node/parcels.ts", 'import type {Parcel} from "./models.ts";\n\n'
          "export function postage(parcel: Parcel): number { return parcel.weight * 2; }\n")
    done = machine.sabir("call", "parcels.postage", 'parcel:={"weight": 2}', cwd=shop)
    assert done.code == 0 and done.out.strip() == "4", done
    write(shop / "functions/node/models.ts", 'export interface Parcel { weight: number; to: string }\n')
    less = machine.sabir("call", "parcels.postage", 'parcel:={"weight": 2}', cwd=shop)
    assert less.code == 1 and "/parcel" in less.err and "to" in less.err, less
    more = machine.sabir("call", "parcels.postage", 'parcel:={"weight": 3, "to": "Ulm"}', cwd=shop)
    assert more.code == 0 and more.out.strip() == "6", more


def test_a_signal_is_aborted_when_the_time_is_over(machine, shop):
    write(shop / "functions/node/waiting.ts", "/**\n * Waits.\n *\n * Timeout: 300ms\n */\nexport async function wait(text: string, signal: AbortSignal): Promise<string> {\n"
          "  await new Promise((resolve) => signal.addEventListener(\"abort\", resolve));\n"
          "  console.log(`${text} was told`);\n  return text;\n}\n")
    listed = machine.sabir("functions", "waiting.wait", "--json", cwd=shop)
    assert list(listed.json["input_schema"]["properties"]) == ["text"], listed
    done = machine.sabir("call", "waiting.wait", "text=it", cwd=shop)
    assert done.code == 1 and done.seconds < 30, done


def test_a_node_that_is_too_old_is_named_by_doctor(machine, shop):
    (machine.bin / "node").unlink()
    write(machine.bin / "node", "#!/bin/sh\necho v18.19.0\n").chmod(0o755)
    done = machine.sabir("doctor", cwd=shop)
    assert done.code == 1 and "18.19.0" in done.out and "22.7" in done.out, done
