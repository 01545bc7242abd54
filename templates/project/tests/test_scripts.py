import json

import pytest

from scripts.call_openai_api import call_openai
from scripts.deploy import deploy
from scripts.manage_secrets import list_secrets, load_secrets


def test_call_openai_prints_and_returns_the_answer(capsys):
    answer = call_openai("Once upon a time")
    assert answer
    assert capsys.readouterr().out.strip() == answer


def test_call_openai_asks_by_a_prompt_too():
    reply = call_openai("key_points", {"text": "Sabir was spoken in every port."}, model="scripted", as_json=True)
    assert reply["model"] == "scripted"
    assert json.loads(reply["content"])["points"]


def test_call_openai_holds_the_answer_to_a_schema():
    answer = call_openai("Name the key points of this text.", schema={"type": "object", "required": ["points"]})
    assert json.loads(answer)["points"]


def test_load_secrets_gives_what_is_set(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a key for tests")
    assert load_secrets()["openai_api_key"] == "a key for tests"


def test_listing_secrets_shows_no_value(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a key for tests")
    assert {"name": "openai_api_key", "source": "environment"} in list_secrets()


def test_deploy_has_to_be_told_of_an_environment_that_is_there(capfd):
    with pytest.raises(SystemExit) as ended:
        deploy("nowhere")
    assert ended.value.code == 1
    assert "has no environment 'nowhere'" in capfd.readouterr().err
