"""PHP files as functions, through the whole binary."""
import json

import pytest
from harness import write

ORDERS = '''<?php

declare(strict_types=1);

namespace Orders;

use Sabir\\Context;
use Sabir\\Memory;

/** An order. */
final class Order
{
    public function __construct(public readonly string $id, public readonly float $total, public readonly string $by = '')
    {
    }
}

/**
 * Finds an order.
 *
 * @param string $orderId its number
 * @effect read
 */
function lookup_order(string $orderId, Context $context): Order
{
    return new Order($orderId, 3.5, $context->user);
}

/** A slug, by Ruby. */
function address(string $title): string
{
    return '/' . \\Sabir\\call('slugify', ['text' => $title]);
}

function keep(mixed $value): int
{
    return Memory::put('from_php', $value);
}

/** @return \\Generator<int> */
function count_to(int $to): \\Generator
{
    for ($i = 1; $i <= $to; $i++) {
        yield $i;
    }
}

function fails(): string
{
    throw new \\DomainException('no stock');
}

function eats(): int
{
    $all = [];
    ini_set('memory_limit', '32M');
    while (true) {
        $all[] = str_repeat('x', 1 << 20);
    }
}

/**
 * @timeout 300ms
 * @effect read
 */
function spins(): int
{
    while (true) {
    }
}
'''


@pytest.fixture
def shop(machine, project):
    write(project / "functions/php/orders.php", ORDERS)
    return project


def line_of(text):
    return next(number for number, line in enumerate(ORDERS.splitlines(), 1) if text in line)


def test_functions_are_listed_with_their_types(machine, shop):
    done = machine.sabir("functions", "orders.lookup_order", "--json", cwd=shop)
    assert done.code == 0, done
    assert done.json["effect"] == "read" and done.json["summary"] == "Finds an order.", done
    assert done.json["input_schema"] == {"type": "object", "properties": {"order_id": {"type": "string", "description": "its number"}},
                                         "required": ["order_id"], "additionalProperties": False}, done
    found = machine.sabir("call", "orders.lookup_order", "order_id=A1", "--user", "ada", "--json", cwd=shop)
    assert found.code == 0 and found.json == {"id": "A1", "total": 3.5, "by": "ada"}, found


def test_calls_cross_into_other_languages_and_back(machine, shop):
    write(shop / "functions/python/shop.py", 'import sabir\n\n\ndef shop(title: str) -> str:\n    """Python, PHP, Ruby."""\n'
          '    return sabir.call("orders.address", title=title)\n')
    done = machine.sabir("call", "shop", "title=Été à Paris", cwd=shop)
    assert done.code == 0 and done.out.strip() == "/ete-a-paris", done
    assert machine.sabir("call", "orders.keep", 'value:={"a": [1, 2], "b": {}}', cwd=shop).code == 0
    assert json.loads(machine.sabir("memory", "get", "from_php", cwd=shop).out) == {"a": [1, 2], "b": {}}


def test_a_generator_is_streamed(machine, shop):
    done = machine.sabir("call", "--stream", "orders.count_to", "to=3", "--json", cwd=shop)
    assert done.code == 0 and [json.loads(line) for line in done.out.split()] == [1, 2, 3], done


def test_exceptions_and_fatal_errors_are_told_with_their_place(machine, shop):
    failed = machine.sabir("call", "orders.fails", cwd=shop)
    assert failed.code == 1 and "no stock" in failed.err and "functions/php/orders.php:%d" % line_of("no stock") in failed.err, failed
    eaten = machine.sabir("call", "orders.eats", cwd=shop)
    assert eaten.code == 1 and "memory" in eaten.err and "functions/php/orders.php:%d" % line_of("1 << 20") in eaten.err, eaten


def test_a_function_that_computes_is_ended_at_its_deadline(machine, shop):
    done = machine.sabir("call", "orders.spins", "--json", cwd=shop, timeout=30)
    assert done.code == 1 and done.json["error"]["type"] == "timeout" and done.seconds < 15, done


def test_a_broken_file_is_told_and_the_others_work(machine, shop):
    write(shop / "functions/php/broken.php", "<?php\n\nfunction broken( {\n}\n")
    checked = machine.sabir("check", cwd=shop)
    assert checked.code == 1 and "functions/php/broken.php:3" in checked.text, checked
    write(shop / "functions/php/first.php", "<?php\n\nfunction same(): int { return 1; }\n")
    write(shop / "functions/php/second.php", "<?php\n\nfunction same(): int { return 2; }\n")
    write(shop / "functions/python/both.py", 'import sabir\n\n\ndef both() -> str:\n    """Both."""\n    sabir.call("php/first.same")\n'
          '    try:\n        sabir.call("php/second.same")\n    except sabir.Error as error:\n        return error.type + str(error)\n    return "?"\n')
    clash = machine.sabir("call", "both", cwd=shop)
    assert clash.code == 0 and "load_failed" in clash.out and "functions/php/first.php:3" in clash.out, clash
    assert machine.sabir("call", "orders.count_to", "to=1", cwd=shop).code == 0


def test_failing_tests_are_told_with_their_place(machine, shop):
    write(shop / "functions/php/tests/OrdersTest.php", "<?php\n\nuse PHPUnit\\Framework\\TestCase;\n\nfinal class OrdersTest extends TestCase\n{\n"
          "    public function testWorks(): void { $this->assertTrue(true); }\n    public function testFails(): void\n    {\n        $this->assertSame(1, 2, 'numbers');\n    }\n"
          "    public function testLater(): void { $this->markTestSkipped('later'); }\n}\n")
    done = machine.sabir("test", "functions/php", cwd=shop)
    assert done.code == 1 and "functions/php/tests/OrdersTest.php:10" in done.text and "numbers" in done.text, done
    assert "1 passed" in done.text and "1 failed" in done.text and "1 skipped" in done.text, done
