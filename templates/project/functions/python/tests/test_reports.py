import pytest
import sabir

from functions.python import reports


def test_a_report_goes_through_python_ruby_and_cpp():
    assert reports.summarize("one three fifteen") == {
        "words": 3, "average_word_length": 5.0, "longest_word": "fifteen"}


def test_the_engine_serves_the_same_report():
    text = "one three fifteen"
    assert sabir.call("reports.summarize", text=text) == reports.summarize(text)


def test_an_error_in_cpp_arrives_in_python():
    with pytest.raises(sabir.Error, match="no values"):
        reports.summarize("")
