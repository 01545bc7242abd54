"""Java files as functions, through the whole binary."""
import json
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from harness import ROOT, Machine, write

ORDERS = '''import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import sabir.Context;
import sabir.Sabir;

/** Orders of the shop. */
public class Orders {
    /**
     * An order.
     *
     * @param id its number
     */
    public record Order(String id, double total, Optional<String> by) {
    }

    /**
     * Finds an order.
     *
     * @effect read
     */
    public static Order lookupOrder(String orderId, Context caller) {
        return new Order(orderId, 3.5, Optional.of(caller.user()).filter(user -> !user.isEmpty()));
    }

    /** A slug, by Ruby. */
    public static String address(String title) {
        return "/" + Sabir.call(String.class, "slugify", Sabir.args("text", title));
    }

    /** Keeps a value. */
    public static void keep(Object value) {
        Sabir.memory().put("from_java", value);
    }

    public static Stream<Integer> count(int to) {
        return IntStream.rangeClosed(1, to).boxed();
    }

    public static int fails() {
        throw new IllegalStateException("no stock");
    }

    public static int reaches(List<Integer> list) {
        return helper(list);
    }

    private static int helper(List<Integer> list) {
        return list.get(3); // too far
    }

    public static int deep(int n) {
        return deep(n + 1) + 1;
    }

    public static int large() {
        long[][] all = new long[100_000][];
        for (int i = 0; i < all.length; i++) {
            all[i] = new long[10_000_000];
        }
        return all.length;
    }

    public static int leaves() {
        System.exit(3);
        return 1;
    }

    /**
     * Ends as soon as its caller gives up.
     *
     * @timeout 300ms
     * @effect read
     */
    public static String waits() throws InterruptedException {
        Thread.sleep(20_000);
        return "late";
    }

    /**
     * Looks whether its caller has given up.
     *
     * @timeout 300ms
     * @effect read
     */
    public static int computes() {
        int rounds = 0;
        while (!Sabir.cancelled()) {
            rounds++;
        }
        return rounds;
    }

    /**
     * Never looks.
     *
     * @timeout 300ms
     * @effect read
     */
    public static int ignores() {
        int rounds = 0;
        while (true) {
            rounds++;
        }
    }
}
'''


def group_of(item):
    """The tests of one project stay together, so that it is built once."""
    return "java" if "shared" in item.fixturenames else item.name


def made(machine, project):
    # The tools are compiled once into the cache, for which a busy machine may need more time than the engine gives.
    run = machine.run("sh", ROOT / "languages/java/run.sh", shutil.which("javac"), "describe", input='{"version": 1, "files": []}', timeout=300)
    assert run.code == 0, run
    write(project / "functions/java/Orders.java", ORDERS)
    return project


@pytest.fixture
def shop(machine, project):
    return made(machine, project)


@pytest.fixture(scope="module")
def shared(binary, cache, made_projects):
    """A machine and its shop, for tests that leave the Java files as they are."""
    folder = Path(tempfile.mkdtemp(prefix="sabir-"))
    machine = Machine(folder, binary, cache)
    project = folder / "shop"
    shutil.copytree(made_projects("python,ruby"), project, symlinks=True)
    write(project / "sabir.yml", (project / "sabir.yml").read_text().replace("environment: [", "environment: [JDK_JAVA_OPTIONS, "))
    built = machine.sabir("call", "orders.count", "to=1", cwd=made(machine, project), timeout=300)
    assert built.code == 0, built
    yield machine, project
    machine.stop()
    shutil.rmtree(folder, ignore_errors=True)


def line_of(text):
    return next(number for number, line in enumerate(ORDERS.splitlines(), 1) if text in line)


def test_public_static_methods_are_listed_with_their_types(shared):
    machine, shop = shared
    done = machine.sabir("functions", "orders.lookup_order", "--json", cwd=shop, timeout=300)
    assert done.code == 0, done
    assert done.json["effect"] == "read" and done.json["summary"] == "Finds an order." and done.json["line"] == line_of("Order lookupOrder"), done
    assert done.json["input_schema"] == {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"], "additionalProperties": False}
    assert done.json["output_schema"]["properties"]["id"] == {"type": "string", "description": "its number"}, done
    found = machine.sabir("call", "orders.lookup_order", "order_id=A1", "--user", "ada", "--json", cwd=shop, timeout=300)
    assert found.code == 0 and found.json == {"id": "A1", "total": 3.5, "by": "ada"}, found


def test_calls_cross_into_other_languages_and_back(shared):
    machine, shop = shared
    write(shop / "functions/python/shop.py", 'import sabir\n\n\ndef shop(title: str) -> str:\n    """Python, Java, Ruby."""\n'
          '    return sabir.call("orders.address", title=title)\n')
    done = machine.sabir("call", "shop", "title=Été à Paris", cwd=shop, timeout=300)
    assert done.code == 0 and done.out.strip() == "/ete-a-paris", done
    assert machine.sabir("call", "orders.keep", 'value:={"a": [1, 2.5, 12345678901234567890]}', cwd=shop).code == 0
    assert json.loads(machine.sabir("memory", "get", "from_java", cwd=shop).out) == {"a": [1, 2.5, 12345678901234567890]}


def test_a_stream_is_streamed(shared):
    machine, shop = shared
    done = machine.sabir("call", "--stream", "orders.count", "to=3", "--json", cwd=shop, timeout=300)
    assert done.code == 0 and [json.loads(line) for line in done.out.split()] == [1, 2, 3], done


def test_errors_are_told_with_their_place(shared):
    machine, shop = shared
    failed = machine.sabir("call", "orders.fails", cwd=shop, timeout=300)
    assert failed.code == 1 and "no stock" in failed.err and "functions/java/Orders.java:%d" % line_of("no stock") in failed.err, failed
    inner = machine.sabir("call", "orders.reaches", "list:=[1]", "--json", cwd=shop)
    assert inner.json["error"]["type"] == "function_error" and inner.json["error"]["line"] == line_of("too far"), inner


def test_exhausted_stacks_and_heaps_fail_their_own_call(shared):
    machine, shop = shared
    write(shop / "functions/python/tries.py", '''import sabir


def tries() -> list:
    """Calls what exhausts its worker, then asks which worker answers."""
    out = []
    for address in ("orders.deep", "orders.large"):
        try:
            sabir.call(address, **({"n": 0} if address == "orders.deep" else {}))
        except sabir.Error as error:
            out.append([error.type, error.data["error_class"]])
    out.append(sabir.call("orders.lookup_order", order_id="still here")["id"])
    return out
''')
    done = machine.sabir("call", "tries", "--json", cwd=shop, timeout=300, env={"JDK_JAVA_OPTIONS": "-Xmx64m"})
    assert done.code == 0, done
    assert done.json == [["function_error", "java.lang.StackOverflowError"], ["function_error", "java.lang.OutOfMemoryError"], "still here"], done


def test_system_exit_fails_its_own_call(shared):
    machine, shop = shared
    left = machine.sabir("call", "orders.leaves", cwd=shop, timeout=300)
    assert left.code == 1 and "System.exit()" in left.err, left


def test_a_deadline_interrupts_the_function(shared):
    machine, shop = shared
    for name in ("waits", "computes", "ignores"):
        begin = time.monotonic()
        done = machine.sabir("call", "orders." + name, "--json", cwd=shop)
        assert done.code == 1 and done.json["error"]["type"] == "timeout", done
        assert time.monotonic() - begin < 15, name


def test_a_broken_file_is_told_and_the_others_work(machine, shop):
    write(shop / "functions/java/Broken.java", "class Broken {\n    public static int helper() {\n        return undefinedThing;\n    }\n}\n")
    write(shop / "functions/java/Leans.java", "class Leans {\n    public static int leans() {\n        return Broken.helper();\n    }\n}\n")
    broken = machine.sabir("call", "broken.helper", cwd=shop, timeout=300)
    assert broken.code == 1 and "functions/java/Broken.java:3:16" in broken.err and "undefinedThing" in broken.err, broken
    leans = machine.sabir("call", "leans", cwd=shop, timeout=300)
    assert leans.code == 1 and "functions/java/Broken.java, which declares it, does not compile" in leans.err, leans
    works = machine.sabir("call", "orders.count", "to=1", "--json", cwd=shop)
    assert works.code == 0 and works.json == [1], works


def test_a_syntax_error_is_told_with_file_and_line(machine, shop):
    write(shop / "functions/java/Later.java", "class Later {\n    public static int later( {\n    }\n}\n")
    done = machine.sabir("check", cwd=shop, timeout=300)
    assert done.code == 1 and "functions/java/Later.java:2" in done.text, done


def test_packages_libraries_and_folders_apart(machine, shop):
    # A library as a jar, made with the JDK's own tools.
    made = machine.folder / "library"
    write(made / "far/Rates.java", "package far;\n\npublic class Rates {\n    public static final int TAX = 19;\n\n    public record Note(String text) {\n    }\n}\n")
    (shop / "lib").mkdir()
    for command in (["javac", "-d", str(made / "classes"), str(made / "far/Rates.java")], ["jar", "cf", str(shop / "lib/far.jar"), "-C", str(made / "classes"), "."]):
        assert machine.run(*command).code == 0
    write(shop / "src/main/java/shop/prices/Price.java", "package shop.prices;\n\npublic record Price(long cents) {\n}\n")
    write(shop / "functions/java/Taxes.java", '''import far.Rates;
import shop.prices.Price;

public class Taxes {
    public static Price tax(Price price) {
        return new Price(price.cents() * Rates.TAX / 100);
    }

    public static String read(Rates.Note note) {
        return note.text();
    }
}
''')
    write(shop / "functions/java/north/Where.java", "class Where {\n    public static String where() {\n        return \"north\";\n    }\n}\n")
    write(shop / "functions/java/south/Where.java", "class Where {\n    public static String where() {\n        return \"south\";\n    }\n}\n")
    done = machine.sabir("call", "taxes.tax", 'price:={"cents": 1000}', "--json", cwd=shop, timeout=300)
    assert done.code == 0 and done.json == {"cents": 190}, done
    assert machine.sabir("call", "taxes.read", 'note:={"text": "hello"}', "--json", cwd=shop).json == "hello"
    assert [machine.sabir("call", place + ".where", "--json", cwd=shop).json for place in ("north.where", "south.where")] == ["north", "south"]
    # What the functions import is part of what they are built from, and of what they are described from.
    write(shop / "src/main/java/shop/prices/Price.java", "package shop.prices;\n\npublic record Price(long cents, boolean net) {\n}\n")
    wrong = machine.sabir("call", "taxes.tax", 'price:={"cents": 1000}', "--json", cwd=shop, timeout=300)
    assert wrong.code == 1 and "net" in wrong.out, wrong
    write(shop / "functions/java/Taxes.java", (shop / "functions/java/Taxes.java").read_text().replace("/ 100)", "/ 100, price.net())"))
    again = machine.sabir("call", "taxes.tax", 'price:={"cents": 1000, "net": true}', "--json", cwd=shop, timeout=300)
    assert again.code == 0 and again.json == {"cents": 190, "net": True}, again


def test_failing_tests_are_told_with_their_place(machine, shop):
    write(shop / "functions/java/tests/OrdersTest.java", '''import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.Test;

class OrdersTest {
    @Test
    void works() {
        assertEquals(3, Orders.count(3).count());
    }

    @Test
    void fails() {
        assertEquals(2, 1);
    }

    @Test
    @Disabled("later")
    void waits() {
    }
}
''')
    write(shop / "functions/java/tests/BrokenTest.java", "class BrokenTest {\n    int x = nothing;\n}\n")
    done = machine.sabir("test", "functions/java", cwd=shop, timeout=300)
    assert done.code == 1 and "functions/java/tests/OrdersTest.java:14" in done.text and "expected: <2> but was: <1>" in done.text, done
    assert "functions/java/tests/BrokenTest.java:2" in done.text and "nothing" in done.text, done
    assert "1 passed" in done.text and "2 failed" in done.text and "1 skipped" in done.text, done


def test_without_a_jdk_the_other_languages_work(machine, shop):
    tools = machine.folder / "few"
    tools.mkdir()
    for name in ("python3", "ruby", "sh", "env", "cat", "mktemp"):
        found = shutil.which(name, path=machine.env["PATH"])
        if found:
            (tools / name).symlink_to(found)
    few = {"PATH": "%s:%s" % (machine.bin, tools), "JAVA_HOME": ""}
    done = machine.sabir("call", "slugify", "text=A B", cwd=shop, env=few)
    if not shutil.os.path.exists("/usr/lib/jvm/default-java/bin/javac"):
        doctor = machine.sabir("doctor", cwd=shop, env=few)
        assert "openjdk-17-jdk-headless" in doctor.text, doctor
    assert done.code == 0 and done.out.strip() == "a-b", done


def test_the_sdk_and_the_tools_keep_their_unit_tests(machine):
    done = machine.run("sh", ROOT / "languages/java/tests/run.sh", timeout=300)
    assert done.code == 0 and ", 0 failed" in done.out, done
