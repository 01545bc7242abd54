from pathlib import Path

import pytest
import sabir

from completions.generate_prompt import generate_prompt

PARTS = Path(__file__).parent.parent / "prompt_parts"


def test_the_prompt_is_made_of_its_parts():
    prompt = generate_prompt("Sabir was a tongue of sailors.", reader="a child", sentences=1)
    assert (PARTS / "role.txt").read_text().strip() in prompt
    assert (PARTS / "rules.txt").read_text().strip() in prompt
    assert "for a child, in at most 1 sentence." in prompt
    assert "Sabir was a tongue of sailors." in prompt


def test_a_forgotten_variable_is_an_error_that_names_the_file():
    with pytest.raises(sabir.Error, match="summary.j2"):
        sabir.render("summary", text="no reader and no sentences")
