import pytest

from scripts.call_openai_api import call_openai
from scripts.deploy import deploy
from scripts.manage_secrets import load_secrets


def test_call_openai_prints_and_returns_the_answer(capsys):
    answer = call_openai("Once upon a time")
    assert answer
    assert capsys.readouterr().out.strip() == answer


def test_load_secrets_tells_which_secrets_are_set_and_not_their_values(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a key for tests")
    secrets = load_secrets()
    assert secrets["openai_api_key"] == "environment"
    assert "a key for tests" not in str(secrets)


def test_deploy_says_that_the_engine_cannot_do_it_yet(capfd):
    with pytest.raises(SystemExit) as ended:
        deploy()
    assert ended.value.code == 2
    assert "deploy" in capfd.readouterr().err
