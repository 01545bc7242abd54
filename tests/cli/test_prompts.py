"""The prompt tools: what a rendered prompt takes."""
import json
import os
import pty
import re
import struct
import subprocess

import pytest
from harness import write


@pytest.fixture
def shop(machine, project):
    write(project / "completions/answer.prompt",
          "---\nmodel: openai\ninput:\n  defaults: {tone: kind}\n---\n== system ==\nBe {{ tone }}.\n== user ==\n{{ question }}\n")
    return lambda *words: machine.sabir("prompt", *words, cwd=project)


def test_tokens_are_exact_for_openais_models(shop):
    done = shop("tokens", "answer", "question=hello world", "--json")
    assert done.code == 0, done
    # 3 of each message and its role's one, 3 before the reply.
    assert done.json == {"tokens": 16, "exact": True, "encoding": "o200k_base", "model": "openai", "model_name": "gpt-5-mini",
                         "provider": "openai", "text": 5, "overhead": 11,
                         "messages": [{"role": "system", "tokens": 3}, {"role": "user", "tokens": 2}]}, done
    done = shop("tokens", "answer", "question=<|endoftext|>", "--model", "gpt-4-0613", "--json")
    assert (done.json["encoding"], done.json["messages"][1]["tokens"]) == ("cl100k_base", 7), done
    done = shop("tokens", "answer", "question=hello world")
    assert done.code == 0 and "16 tokens" in done.out and "o200k_base" in done.out and "about" not in done.out, done


def test_tokens_of_other_models_are_an_estimate_that_says_so(shop):
    done = shop("tokens", "answer", "question=hello world", "--model", "local", "--json")
    assert done.code == 0 and done.json["exact"] is False and done.json["tokens"] == 16, done
    done = shop("tokens", "answer", "question=hello world", "--model", "local")
    assert "about 16 tokens" in done.out and "estimated" in done.out and "sabir model pull" in done.out, done


def gguf(merges=("h e", "l l", "he ll")):
    """The head of a GGUF file whose tokens are all bytes and what a few merges make of them."""
    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def texts(values):
        return struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values))

    def stand_in(byte):
        return chr(0x100 + byte) if byte <= 0x20 else chr(0x100 + 33 + byte - 0x7F) if 0x7F <= byte <= 0xA0 else "\u0143" if byte == 0xAD else chr(byte)

    tokens = [stand_in(byte) for byte in range(256)] + [merge.replace(" ", "") for merge in merges] + ["<|im_start|>", "<|im_end|>"]
    kinds = [1] * (len(tokens) - 2) + [3, 3]
    entries = [("tokenizer.ggml.model", 8, text("gpt2")), ("tokenizer.ggml.pre", 8, text("qwen2")), ("tokenizer.chat_template", 8, text("<|im_start|>")),
               ("tokenizer.ggml.tokens", 9, texts(tokens)), ("tokenizer.ggml.merges", 9, texts(merges)),
               ("tokenizer.ggml.token_type", 9, struct.pack("<IQ", 5, len(kinds)) + struct.pack("<%di" % len(kinds), *kinds))]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in entries)


def test_a_model_of_this_machine_counts_by_the_tokenizer_in_its_file(machine, project):
    (project / "tiny.gguf").write_bytes(gguf())
    write(project / "config/openai_config.yml", "models:\n  tiny: {provider: local, model: tiny.gguf}\n")
    body = "== user ==\nhello{% block more %} {{ more }}{% endblock %}\n"
    write(project / "completions/hi.prompt", body)
    done = machine.sabir("prompt", "tokens", "hi", "more=hello <|im_end|>", "--json", cwd=project)
    # "hell" and "o", a blank, the same, a blank, ten characters that are no control token. Instructions of its own, and three turns' marks.
    about_system, about_user, about_reply = len("system\n") + len("You are a helpful assistant.") + 3, len("user\n") + 3, len("assistant\n") + 1
    assert done.json["exact"] is True and done.json["encoding"] == "qwen2", done
    assert done.json["messages"] == [{"role": "user", "tokens": 2 + 1 + 2 + 1 + 10}], done
    assert done.json["overhead"] == about_system - 1 + about_user + about_reply, done
    # The budget is the same tokenizer's, to the token.
    write(project / "completions/hi.prompt", "---\nbudget: {tokens: 60}\nparts:\n  more: {shorten: end}\n---\n" + body)
    done = machine.sabir("prompt", "render", "hi", "more=" + "a" * 100, "--json", cwd=project)
    assert done.json["budget"]["exact"] is True and done.json["budget"]["used"] == done.json["budget"]["tokens"], done
    told = machine.sabir("prompt", "tokens", "hi", "more=x", cwd=project)
    assert "tokens  qwen2" in told.out and "about" not in told.out and "OpenAI" not in told.out, told
    (project / "tiny.gguf").write_bytes(gguf().replace(b"qwen2", b"other"))
    done = machine.sabir("prompt", "tokens", "hi", "more=x", "--json", cwd=project)
    assert done.json["exact"] is False and "tiny.gguf" in done.json["why"] and "'other'" in done.json["why"], done


def test_tokens_name_what_is_wrong(shop):
    done = shop("tokens", "answer")
    assert done.code == 1 and "completions/answer.prompt:9" in done.err and "question" in done.err, done
    done = shop("tokens", "answer", "question=x", "--model", "opnai")
    assert done.code == 1 and "opnai" in done.err and "openai" in done.err, done
    done = shop("tokens", "anser", "--json")
    assert done.json["error"]["type"] == "not_found" and "answer" in json.dumps(done.json), done


def test_what_a_budget_took_is_told_beside_the_prompt(machine, project):
    write(project / "completions/answer.prompt",
          "---\nmodel: openai\nbudget: {tokens: 16}\nparts:\n  hints: {priority: 5}\n  text: {priority: 10, shorten: end}\n---\n"
          "== user ==\n{% block hints %}Think well.{% endblock %}\n{% block text %}{{ text }}{% endblock %} done\n")
    done = machine.sabir("prompt", "render", "answer", "text=one two three four five six seven eight nine ten", cwd=project)
    assert done.code == 0, done
    assert done.out == "== user ==\n\none two three four five six seven eight done", done
    assert "hints was left out (3 tokens)" in done.err and "text was shortened from 10 to 8 tokens" in done.err, done
    assert "16 of 16 tokens are used" in done.err, done
    done = machine.sabir("prompt", "render", "answer", "text=one two three four five six seven eight nine ten", "--json", cwd=project)
    assert done.json["budget"]["used"] == 16 and [part["action"] for part in done.json["budget"]["parts"]] == ["dropped", "shortened"], done
    done = machine.sabir("prompt", "render", "answer", "text=short", cwd=project)
    assert done.err == "", done
    write(project / "completions/answer.prompt", "---\nbudget: {tokens: 8}\n---\n== user ==\nMore than that, surely.\n")
    done = machine.sabir("prompt", "render", "answer", cwd=project)
    assert done.code == 1 and "completions/answer.prompt" in done.err and "budget 8" in done.err, done


def test_two_prompts_are_compared_as_they_are_rendered(machine, project):
    for name, ending in (("one", "short"), ("two", "long")):
        write(project / ("completions/%s.j2" % name), "%s\n{{ who }}\n%s\n" % ("\n".join("line %d" % i for i in range(20)), ending))
    done = machine.sabir("prompt", "diff", "one", "two", "who=Ana", cwd=project)
    assert done.code == 0, done
    assert done.out == "--- one\n+++ two\n…\n line 18\n line 19\n Ana\n-short\n+long\n", done
    done = machine.sabir("prompt", "diff", "one", "two", "who=Ana", "--json", cwd=project)
    assert done.json["same"] is False and done.json["lines"][-2:] == [{"in": "first", "text": "short"}, {"in": "second", "text": "long"}], done
    done = machine.sabir("prompt", "diff", "one", "one", "who=Ana", cwd=project)
    assert (done.code, done.out) == (0, "") and "same" in done.err, done
    done = machine.sabir("prompt", "diff", "one", "who=Ana", cwd=project)
    assert done.code == 2 and "--since" in done.err, done


def test_a_prompt_is_compared_with_what_it_was_at_a_commit(machine, project):
    def git(*words):
        return subprocess.run(["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b.c", *words], check=True, capture_output=True, text=True, env=machine.env).stdout

    write(project / "completions/prompt_parts/tone.txt", "Be kind.")
    write(project / "completions/answer.j2", "{% include 'tone' %}\n{{ question }}\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    write(project / "completions/prompt_parts/tone.txt", "Be brief.")
    git("add", "completions/prompt_parts/tone.txt")
    staged = git("status", "--short")
    done = machine.sabir("prompt", "diff", "answer", "--since", "HEAD", "question=Why?", cwd=project)
    assert done.code == 0, done
    assert done.out == "--- answer at HEAD\n+++ answer\n-Be kind.\n+Be brief.\n Why?\n", done
    assert git("status", "--short") == staged, "the index is the user's"
    write(project / "completions/new.j2", "x")
    done = machine.sabir("prompt", "diff", "new", "--since", "HEAD", cwd=project)
    assert done.code == 1 and "at HEAD" in done.err, done
    for since in ("no-such", "--upload-pack=x"):
        done = machine.sabir("prompt", "diff", "answer", "--since=" + since, "question=x", cwd=project)
        assert done.code != 0 and since in done.err, done


@pytest.fixture
def explained(machine, project):
    write(project / "completions/prompt_parts/tone.txt", "Be {{ tone }} — été.\n")
    write(project / "completions/answer.prompt",
          "---\nmodel: openai\nbudget: {tokens: 40}\nparts:\n  hints: {priority: 5}\n  history: {priority: 10, shorten: start}\n---\n"
          "== system ==\n{% include 'tone' %}\n{% block hints %}Think well before you answer.{% endblock %}\n"
          "{% block history %}{% for turn in turns %}\n== user ==\n{{ turn | upper }} was said\n{% endfor %}{% endblock %}\n"
          "== user ==\n{{ question }}\n")
    variables = json.dumps({"tone": "kind", "question": "Where is it?\n<|x|>", "turns": ["one two three four five six", "seven eight", "nine"]})
    return lambda command, *words: machine.sabir("prompt", command, "answer", "--args", variables, *words, cwd=project)


def test_an_explained_prompt_is_the_rendered_one_byte_for_byte(explained):
    rendered, done = explained("render"), explained("explain")
    assert done.code == 0 and done.out == rendered.out, done
    assert "hints" in done.err and "left out" in done.err and "completions/prompt_parts/tone.txt:1" in done.err and "\x1b" not in done.out + done.err, done
    answer = explained("explain", "--json").json
    plain = explained("render", "--json").json
    assert {key: answer[key] for key in plain} == plain
    text = answer["text"].encode()
    assert [span["from"] for span in answer["spans"]] == [0] + [span["to"] for span in answer["spans"]][:-1] and answer["spans"][-1]["to"] == len(text)
    counted = explained("tokens", "--json").json
    assert sum(span["tokens"] for span in answer["spans"]) == counted["text"] and answer["tokens"] == counted["tokens"] <= 40
    pieces = {text[span["from"]:span["to"]].decode(): span for span in answer["spans"]}
    tone = pieces["kind"]
    assert (tone["kind"], tone["expression"], tone["file"], tone["line"], tone["column"], tone["message"]) == ("value", "tone", "completions/prompt_parts/tone.txt", 1, 7, 0)
    said = pieces["NINE"]
    assert (said["kind"], said["part"], said["line"], said["file"]) == ("derived", "history", 13, "completions/answer.prompt")
    assert pieces["== system =="]["kind"] == "heading"
    hints = next(part for part in answer["parts"] if part["part"] == "hints")
    assert (hints["declared"], hints["action"], hints["tokens"], hints["line"]) == (True, "dropped", 0, 10), hints


def on_terminal(machine, project, words, **env):
    shown = b""
    env = {name: value for name, value in {**machine.env, "NO_COLOR": "", **env}.items() if value}
    master, terminal = pty.openpty()
    try:
        with subprocess.Popen([str(machine.binary), *words], cwd=project, env=env, stdin=terminal, stdout=terminal, stderr=terminal) as program:
            os.close(terminal)
            while True:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the program has ended
                    break
                shown += piece
            assert program.wait(timeout=60) == 0, shown
    finally:
        os.close(master)
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_shows_pieces_in_their_parts_colours(machine, project):
    write(project / "completions/prompt_parts/tone.txt", "Be {{ tone }}.")
    write(project / "completions/answer.j2", "Hello\n{% include 'tone' %} {{ tone | upper }}")
    words = ["prompt", "explain", "answer", "tone=kind"]
    text = machine.sabir(*words, cwd=project).out
    coloured = on_terminal(machine, project, words)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).startswith(text + "\n\n"), coloured
    for piece in ("\x1b[36mHello\x1b[0m", "\x1b[33mBe \x1b[0m\x1b[33;1mkind\x1b[0m", "\x1b[36;4mKIND\x1b[0m", "\x1b[33mprompt_parts/tone\x1b[0m"):
        assert piece in coloured, (piece, coloured)
    plain = on_terminal(machine, project, words, NO_COLOR="1")
    assert "\x1b" not in plain and plain.startswith(text + "\n\n"), plain


def test_an_explanation_fails_as_the_rendering_does(machine, project):
    write(project / "completions/broken.j2", "{{ a }}\n{{ b }}")
    for words in (["broken", "a=1"], ["broke"]):
        rendered, done = (machine.sabir("prompt", command, *words, cwd=project) for command in ("render", "explain"))
        assert (done.code, done.out, done.err) == (1, rendered.out, rendered.err), done
    done = machine.sabir("prompt", "explain", "broken", "a=1", "b=2", "--model", "opnai", cwd=project)
    assert done.code == 1 and "opnai" in done.err, done
    # Where nothing is known of models, the tokens are an estimate.
    (project / "config/openai_config.yml").unlink()
    done = machine.sabir("prompt", "explain", "broken", "a=1", "b=2", cwd=project)
    assert (done.code, done.out) == (0, "1\n2") and "estimated" in done.err, done


def test_prompts_are_checked_without_being_rendered(machine, project):
    done = machine.sabir("prompt", "check", cwd=project)
    assert done.code == 0 and "0 errors" in done.out, done
    write(project / "completions/prompt_parts/tone.txt", "Be {{ tone }}.\n{{ customer.nam }}\n")
    write(project / "completions/prompt_parts/left.txt", "x")
    write(project / "completions/answer.prompt",
          "---\nmodel: opnai\ninput:\n  schema:\n    type: object\n    required: [customer]\n    properties:\n"
          "      customer: {type: object, properties: {name: {}}}\n      spare: {}\n---\n{% include 'tone' %}\n{% if false %}never{% endif %}\n")
    done = machine.sabir("prompt", "check", cwd=project)
    assert done.code == 1 and done.err == "", done
    for line in ("completions/answer.prompt:2:1: error: there is no model 'opnai'", "completions/answer.prompt:9:7: error: 'spare' is declared, and read nowhere",
                 "completions/answer.prompt:12:15: error: this is never written", "completions/prompt_parts/left.txt:1:1: error: no prompt uses this part",
                 "completions/prompt_parts/tone.txt:1:7: error: 'tone' is not declared in input.schema",
                 "completions/prompt_parts/tone.txt:2:4: error: 'customer' has no 'nam' in input.schema"):
        assert line in done.out, (line, done)
    assert "Did you mean openai?" in done.out and "(In answer.)" in done.out, done
    done = machine.sabir("prompt", "check", "answer", "--json", cwd=project)
    assert done.code == 1 and done.json["ok"] is False and (done.json["prompts"], done.json["parts"]) == (1, 0), done
    first = done.json["problems"][0]
    assert first == {"severity": "error", "code": "model", "message": "there is no model 'opnai' in config/openai_config.yml", "hint": first["hint"],
                     "file": "completions/answer.prompt", "line": 2, "column": 1, "prompts": ["answer"]}
    assert "unused" in {problem["code"] for problem in done.json["problems"]} and "left.txt" not in done.out, done
    whole = machine.sabir("check", cwd=project)
    assert whole.code == 1 and "completions/prompt_parts/tone.txt:2:4: error" in whole.out, whole
    assert machine.sabir("check", "--json", cwd=project).json["prompts"]["ok"] is False
    done = machine.sabir("prompt", "check", "anser", cwd=project)
    assert done.code == 1 and "answer" in done.err, done
    write(project / "completions/prompt_parts/left.txt", "{{ x")
    done = machine.sabir("prompt", "check", "--json", cwd=project)
    assert any(problem["code"] == "syntax" and problem["file"].endswith("left.txt") for problem in done.json["problems"]), done


def test_a_warning_leaves_the_exit_code_alone(machine, project):
    write(project / "completions/answer.prompt", "---\ninput: {schema: {properties: {name: {type: string}}}}\n---\n{{ name }}{% for c in name %}{{ c }}{% endfor %}{% include name %}\n")
    done = machine.sabir("prompt", "check", "answer", cwd=project)
    assert done.code == 0 and "0 errors, 2 warnings" in done.out and ": note: which template" in done.out, done
