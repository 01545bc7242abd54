"""Go files as functions, through the whole binary."""
import json
import shutil
import time

import pytest
from harness import write

ORDERS = '''package functions

import (
	"context"
	"errors"
	"time"

	"sabir"
)

// An Order of the shop.
type Order struct {
	// ID is its number.
	ID    string  `json:"id"`
	Total float64 `json:"total"`
	By    string  `json:"by,omitempty"`
}

// LookupOrder finds an order.
//
// Effect: read
func LookupOrder(orderID string, caller sabir.Context) Order {
	return Order{orderID, 3.5, caller.User}
}

// Address is a slug, by Ruby.
func Address(ctx context.Context, title string) (string, error) {
	slug, err := sabir.Call[string](ctx, "slugify", sabir.Args{"text": title})
	return "/" + slug, err
}

// Keep keeps a value.
func Keep(ctx context.Context, value any) error {
	_, err := sabir.Memory.Put(ctx, "from_go", value)
	return err
}

func Count(ctx context.Context, to int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for i := 1; i <= to; i++ {
			select {
			case out <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func Fails() error { return errors.New("no stock") }

func Panics(list []int) int {
	return list[3]
}

// Waits ends as soon as its caller gives up.
//
// Timeout: 300ms
// Effect: read
func Waits(ctx context.Context) (string, error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(20 * time.Second):
		return "late", nil
	}
}
'''


@pytest.fixture
def shop(machine, project):
    write(project / "functions/go/orders.go", ORDERS)
    return project


def line_of(text):
    return next(number for number, line in enumerate(ORDERS.splitlines(), 1) if text in line)


def test_exported_functions_are_listed_with_their_types(machine, shop):
    done = machine.sabir("functions", "orders.lookup_order", "--json", cwd=shop)
    assert done.code == 0, done
    assert done.json["effect"] == "read" and done.json["summary"] == "LookupOrder finds an order.", done
    assert done.json["input_schema"] == {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"], "additionalProperties": False}
    assert done.json["output_schema"]["properties"]["id"] == {"type": "string", "description": "ID is its number."}, done
    found = machine.sabir("call", "orders.lookup_order", "order_id=A1", "--user", "ada", "--json", cwd=shop)
    assert found.code == 0 and found.json == {"id": "A1", "total": 3.5, "by": "ada"}, found


def test_calls_cross_into_other_languages_and_back(machine, shop):
    write(shop / "functions/python/shop.py", 'import sabir\n\n\ndef shop(title: str) -> str:\n    """Python, Go, Ruby."""\n'
          '    return sabir.call("orders.address", title=title)\n')
    done = machine.sabir("call", "shop", "title=Été à Paris", cwd=shop)
    assert done.code == 0 and done.out.strip() == "/ete-a-paris", done
    assert machine.sabir("call", "orders.keep", 'value:={"a": [1, 2]}', cwd=shop).code == 0
    assert json.loads(machine.sabir("memory", "get", "from_go", cwd=shop).out) == {"a": [1, 2]}


def test_a_channel_is_streamed(machine, shop):
    done = machine.sabir("call", "--stream", "orders.count", "to=3", "--json", cwd=shop)
    assert done.code == 0 and [json.loads(line) for line in done.out.split()] == [1, 2, 3], done


def test_errors_and_panics_are_told(machine, shop):
    failed = machine.sabir("call", "orders.fails", cwd=shop)
    assert failed.code == 1 and "no stock" in failed.err, failed
    panicked = machine.sabir("call", "orders.panics", "list:=[1]", cwd=shop)
    assert panicked.code == 1 and "functions/go/orders.go:%d" % line_of("list[3]") in panicked.err and "out of range" in panicked.err, panicked


def test_a_deadline_reaches_the_function(machine, shop):
    assert machine.sabir("call", "orders.count", "to=1", cwd=shop, timeout=300).code == 0  # built
    begin = time.monotonic()
    done = machine.sabir("call", "orders.waits", "--json", cwd=shop)
    assert done.code == 1 and done.json["error"]["type"] == "timeout", done
    assert time.monotonic() - begin < 15


def test_a_broken_file_is_told_and_the_others_work(machine, shop):
    write(shop / "functions/go/broken.go", "package functions\n\nfunc Helper() int { return 1 }\n\nfunc Broken() string {\n\treturn undefinedThing\n}\n")
    write(shop / "functions/go/leans.go", "package functions\n\nfunc Leans() int { return Helper() }\n")
    broken = machine.sabir("call", "broken.broken", cwd=shop)
    assert broken.code == 1 and "functions/go/broken.go:6:9" in broken.err and "undefinedThing" in broken.err, broken
    leans = machine.sabir("call", "leans", cwd=shop)
    assert leans.code == 1 and "functions/go/broken.go, of the same package, does not compile" in leans.err, leans
    works = machine.sabir("call", "orders.count", "to=1", "--json", cwd=shop)
    assert works.code == 0 and works.json == [1], works


def test_a_syntax_error_is_told_with_file_and_line(machine, shop):
    write(shop / "functions/go/later.go", "package functions\n\nfunc Later( {\n")
    done = machine.sabir("check", cwd=shop)
    assert done.code == 1 and "functions/go/later.go:3" in done.text, done


def test_a_module_with_packages_of_its_own_a_replacement_and_a_vendor_folder(machine, shop):
    write(shop / "go.mod", "module example.com/shop\n\ngo 1.19\n\nrequire (\n\texample.com/far v1.2.0\n\texample.com/near v0.0.0\n)\n\nreplace example.com/near => ./third_party/near\n")
    write(shop / "internal/prices/prices.go", 'package prices\n\ntype Price struct {\n\tCents int `json:"cents"`\n}\n')
    write(shop / "third_party/near/go.mod", "module example.com/near\n\ngo 1.19\n")
    write(shop / "third_party/near/near.go", "package near\n\nfunc Round(n int) int { return n / 10 * 10 }\n")
    write(shop / "vendor/modules.txt", "# example.com/far v1.2.0\n## explicit; go 1.19\nexample.com/far/rates\n# example.com/near v0.0.0 => ./third_party/near\n## explicit; go 1.19\nexample.com/near\n")
    write(shop / "vendor/example.com/far/rates/rates.go", "package rates\n\nconst Tax = 19\n")
    write(shop / "vendor/example.com/near/near.go", "package near\n\nfunc Round(n int) int { return n / 10 * 10 }\n")
    write(shop / "functions/go/taxes.go", '''package functions

import (
	"example.com/far/rates"
	"example.com/near"
	"example.com/shop/internal/prices"
)

func Tax(price prices.Price) prices.Price { return prices.Price{Cents: near.Round(price.Cents * rates.Tax / 100)} }
''')
    done = machine.sabir("call", "taxes.tax", 'price:={"cents": 1000}', "--json", cwd=shop)
    assert done.code == 0 and done.json == {"cents": 190}, done
    # A package that the functions import is part of what they are built from.
    write(shop / "internal/prices/prices.go", 'package prices\n\ntype Price struct {\n\tCents int `json:"cents"`\n\tNet bool `json:"net"`\n}\n')
    wrong = machine.sabir("call", "taxes.tax", 'price:={"cents": 1000}', "--json", cwd=shop)
    assert wrong.code == 1 and "net" in wrong.out, wrong
    again = machine.sabir("call", "taxes.tax", 'price:={"cents": 1000, "net": true}', "--json", cwd=shop)
    assert again.code == 0 and again.json == {"cents": 190, "net": False}, again
    status = machine.run("git", "init", "-q", cwd=shop)
    assert status.code == 0 and not (shop / "functions/go/go.mod").exists() and (shop / "go.mod").read_text().count("sabir") == 0


def test_failing_tests_are_told_with_their_place(machine, shop):
    write(shop / "functions/go/orders_test.go", 'package functions\n\nimport "testing"\n\nfunc TestWorks(t *testing.T) {}\n\nfunc TestParts(t *testing.T) {\n'
          '\tt.Run("one", func(t *testing.T) {\n\t\tt.Errorf("1 is not %d", 2)\n\t})\n}\n\nfunc TestLater(t *testing.T) { t.Skip("later") }\n')
    done = machine.sabir("test", "functions/go", cwd=shop)
    assert done.code == 1 and "functions/go/orders_test.go:9" in done.text and "1 is not 2" in done.text, done
    assert "1 passed" in done.text and "1 failed" in done.text and "1 skipped" in done.text, done


def test_without_go_the_other_languages_work(machine, shop):
    tools = machine.folder / "few"
    tools.mkdir()
    for name in ("python3", "ruby", "sh", "env", "cat", "mktemp"):
        found = shutil.which(name, path=machine.env["PATH"])
        if found:
            (tools / name).symlink_to(found)
    few = {"PATH": "%s:%s" % (machine.bin, tools)}
    done = machine.sabir("call", "slugify", "text=A B", cwd=shop, env=few)
    if not any(shutil.os.path.exists(path) for path in ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")):
        doctor = machine.sabir("doctor", cwd=shop, env=few)
        assert "golang-go" in doctor.text, doctor
    assert done.code == 0 and done.out.strip() == "a-b", done
