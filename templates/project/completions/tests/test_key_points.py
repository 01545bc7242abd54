"""Four ways to test a prompt: exactly, by what it contains, by its tokens, and by what goes in and comes out."""
import json
import os
import subprocess
from pathlib import Path

import pytest
import sabir

from scripts.call_openai_api import call_openai

TEXT = "Sabir was a tongue of sailors. They spoke it in every port."
SNAPSHOT = Path(__file__).parent / "snapshots" / "key_points.txt"


def test_it_is_exactly_the_snapshot():
    prompt = sabir.render("key_points", text=TEXT)
    if os.environ.get("UPDATE_SNAPSHOTS"):  # UPDATE_SNAPSHOTS=1 pytest completions; then read what git diff shows
        SNAPSHOT.write_text(prompt, encoding="utf-8")
    assert prompt == SNAPSHOT.read_text(encoding="utf-8")


def test_it_contains_its_text_and_its_limit():
    prompt = sabir.render("key_points", text=TEXT, most=5)
    assert TEXT in prompt
    assert "Name 5 at most." in prompt


def test_it_is_short():
    command = [os.environ["SABIR_BIN"], "prompt", "tokens", "key_points", "text=" + TEXT, "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert told["tokens"] < 120


@pytest.mark.parametrize("wrong", [{}, {"text": ""}, {"text": TEXT, "most": 0}])
def test_variables_that_do_not_fit_are_refused(wrong):
    with pytest.raises(sabir.Error, match="input.schema"):
        sabir.render("key_points", **wrong)


def test_the_answer_fits_its_schema():
    answer = call_openai("key_points", {"text": TEXT})  # of the scripted model: tests/scripted_replies.json
    assert json.loads(answer) == {"points": ["It was spoken by sailors.", "It was spoken in every port."]}
