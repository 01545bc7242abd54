from memory.python import memory_management


def test_what_is_stored_can_be_retrieved():
    result = {"words": 3, "list": [1, 2.5, None], "text": "Été"}
    memory_management.store_result(result, name="python test")
    assert memory_management.retrieve_result("python test") == result


def test_a_name_without_a_result_gives_none():
    assert memory_management.retrieve_result("nothing was stored here") is None


def test_each_storing_counts_the_version_up():
    first = memory_management.store_result("one", name="python versions")
    assert memory_management.store_result("two", name="python versions") == first + 1
