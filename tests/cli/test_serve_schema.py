"""What is served keeps what its OpenAPI document promises: schemathesis asks it whatever the schemas allow, and what they do not."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import FILES, Served, machine_of, write_project


def group_of(item):
    return "serve_schema"


RUBY = '''
    # The longest of some words.
    #
    # @param words [Array<String>] the words
    # @param least [Integer] shorter ones do not count
    # @return [String, nil]
    # @effect read
    def longest(words:, least: 0)
      words.select { |word| word.size >= least }.max_by(&:size)
    end
    '''


@pytest.fixture(scope="module")
def served(binary, cache):
    with machine_of(binary, cache) as machine:
        # Functions that have an answer to whatever their schema allows.
        python = FILES["functions/python/notes.py"]
        kept = python[:python.index("def slow(")]
        echo = 'def respond(message, context):\n    return "You said: " + message\n'
        files = dict(FILES, **{"functions/python/notes.py": kept, "functions/ruby/words.rb": RUBY, "assistants/python/echo.py": echo})
        del files["functions/ruby/stats.rb"]
        config = "expose: {rest: ['*', prompts/greet, assistants/echo, memory]}\n"
        server = Served(machine, write_project(machine.folder / "notes", config, files), "--env", "production")
        try:
            assert server.call("words.longest", {"words": ["a"]}, timeout=120).status == 200
            assert server.call("numbers.add", {"a": 1, "b": 1}, timeout=120).status == 200
            yield server
        finally:
            server.stop()


@pytest.mark.parametrize("checks", ["not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
                                    "negative_data_rejection,unsupported_method"])
def test_the_document_is_kept(served, checks):
    program = Path(sys.executable).parent / "schemathesis"
    if not program.exists() and not shutil.which("schemathesis"):
        pytest.fail("schemathesis is missing: script/setup installs it")
    command = [str(program) if program.exists() else "schemathesis", "run", served.address + "/openapi.json", "--checks", checks, "--max-examples", "25", "--seed", "1",
               "--phases", "examples,coverage,fuzzing", "--request-timeout", "20", "--no-color", "--generation-database", "none"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, cwd=str(served.machine.folder), env=dict(served.machine.env, HOME=str(served.machine.folder)))
    assert done.returncode == 0, done.stdout[-12000:]
