"""sabir embed and the request models.embed: vectors of texts, from servers, from this machine's models and scripted ones."""
import json
import math
import sys

import pytest
from harness import ROOT
from languages.engine_client import Engine

sys.path.insert(0, str(ROOT / "tests" / "cli"))
from test_complete import KEY, use_server  # noqa: E402
from test_models import serving  # noqa: E402


@pytest.fixture
def embed(machine, project):
    return lambda *words, **options: machine.sabir("embed", *words, cwd=project, **options)


def near(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)


def test_one_list_of_numbers_a_line_and_all_of_it_as_json(embed):
    done = embed("a red apple", "red, the apple", "rain in Oslo", "-m", "scripted")
    vectors = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0 and [len(v) for v in vectors] == [64, 64, 64], done
    assert near(vectors[0], vectors[1]) > 0.6 > near(vectors[0], vectors[2])
    assert "64 dimensions" in done.err and "\x1b" not in done.text
    done = embed("-", "last", "-m", "scripted", "--dimensions", "2", "--json", input="one\n\n  \ntwo\n")
    assert [len(v) for v in done.json["vectors"]] == [2, 2, 2] and done.err == "", done
    assert done.json["provider"] == "scripted" and done.json["alias"] == "scripted" and done.json["usage"]["input_tokens"] > 0


def test_wrong_usage_says_what_to_do(embed):
    for words, said in ((("", "-m", "scripted"), "text 1 of those to embed is empty"), (("-", "-m", "scripted"), "0 texts to embed"), ((), "TEXTS")):
        done = embed(*words, input="\n")
        assert done.code == 2 and said in done.err, done
    done = embed("-", "-m", "scripted", input="word\n" * 2049)
    assert done.code == 2 and "it is 1 to 2048 at once" in done.err, done
    done = embed("a", "-m", "scirpted")
    assert done.code == 1 and "scripted" in done.err, done


def test_a_server_s_vectors_are_kept_and_given_again_exactly(embed, machine, project):
    with serving() as port:
        use_server(project, port, "ok")
        done = embed("a", "bcd", "-m", "server", "--dimensions", "5", "--json", "--record", "vectors", env=KEY)
        assert done.code == 0 and done.json["vectors"] == [[0.1, 0.5, 0.5, 0.5, 0.5], [0.3, 0.5, 0.5, 0.5, 0.5]], done
        assert done.json["model"] == "gpt-test-stand-in" and done.json["usage"] == {"input_tokens": 7, "output_tokens": 0}
    again = embed("a", "bcd", "-m", "server", "--dimensions", "5", "--json", "--replay", "vectors")
    assert again.json["vectors"] == done.json["vectors"] and again.json["usage"] == done.json["usage"], again
    shown = machine.sabir("recordings", "show", "vectors", cwd=project)
    assert "text: \"bcd\"" in shown.out and "2 vectors of 5 numbers" in shown.out, shown
    missed = embed("a", "bce", "-m", "server", "--dimensions", "5", "--replay", "vectors")
    assert missed.code == 1 and '- text: "bcd"' in missed.err and '+ text: "bce"' in missed.err, missed
    with serving() as port:
        use_server(project, port, "ok")
        done = machine.sabir("recordings", "refresh", "--missing", cwd=project, env=KEY)
        assert done.code == 0, done
    again = embed("a", "bce", "-m", "server", "--dimensions", "5", "--json", "--replay", "vectors")
    assert again.code == 0 and len(again.json["vectors"]) == 2, again
    # What was recorded before still answers.
    again = embed("a", "bcd", "-m", "server", "--dimensions", "5", "--json", "--replay", "vectors")
    assert again.json["vectors"] == [[0.1, 0.5, 0.5, 0.5, 0.5], [0.3, 0.5, 0.5, 0.5, 0.5]], again


def test_what_a_server_answers_wrongly_is_told(embed, project):
    with serving() as port:
        use_server(project, port, "embed_ragged")
        done = embed("a", "b", "-m", "server", env=KEY)
        assert done.code == 1 and "differ in length" in done.err, done


def test_the_usage_and_the_trace_of_embeddings(embed, machine, project):
    with serving() as port:
        use_server(project, port, "ok")
        trace = embed("a", "-m", "server", "--json", env=KEY).json["trace"]
    rows = machine.sabir("usage", "--by", "alias", "--json", cwd=project).json["rows"]
    assert [row["input_tokens"] for row in rows if row["alias"] == "server"] == [7], rows
    root = machine.sabir("trace", trace, "--json", cwd=project).json["span_list"][0]
    assert root["name"] == "embeddings gpt-test" and root["attributes"]["gen_ai.embeddings.dimension.count"] == 3, root


def test_the_request_of_an_sdk(machine, project):
    machine.start_engine(project)
    client = Engine(project, {})
    answer, _ = client.request("models.embed", {"texts": ["x", "y"], "model": "scripted", "parameters": {"dimensions": 4}})
    assert [len(v) for v in answer["result"]["vectors"]] == [4, 4] and answer["result"]["provider"] == "scripted"
    for params, said in (({}, "needs 'texts'"), ({"texts": ["a", 1], "model": "scripted"}, "item 2"), ({"texts": [], "model": "scripted"}, "0 texts")):
        answer, _ = client.request("models.embed", params)
        assert said in answer["error"]["message"] and answer["error"]["data"]["type"] == "invalid_arguments", answer
