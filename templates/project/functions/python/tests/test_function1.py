from functions.python import function1


def test_counts_words_letters_and_sentences():
    assert function1.do_something("Two words. And three more!") == {"words": 5, "letters": 20, "sentences": 2}


def test_an_empty_text_has_nothing_to_count():
    assert function1.do_something("") == {"words": 0, "letters": 0, "sentences": 0}


def test_works_without_an_argument():
    assert function1.do_something()["words"] == 4
