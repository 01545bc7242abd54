"""How long `sabir functions` takes for 1,000 functions in every language whose interpreter is here, with nothing running.

    listing.py SABIR [--json] [--rounds N]
"""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

CARRIED = pathlib.Path(__file__).resolve().parents[2] / "languages"
FUNCTIONS = 1000
IN_A_FILE = 10
# Extension, head of a file, one function.
LANGUAGES = {
    "python": ("py", "", '''def find_{i}(text: str, limit: int = 10) -> str:
    """Finds thing {i}.

    Args:
        text: the text to look at
        limit: how many at most

    Effect: read
    """
    return text
'''),
    "ruby": ("rb", "", '''# Finds thing {i}.
# @param text [String] the text to look at
# @param limit [Integer] how many at most
# @return [String]
# @effect read
def find_{i}(text, limit: 10)
  text
end
'''),
    "cpp": ("cpp", "#include <string>\n\n", '''/// Finds thing {i}.
/// @param text the text to look at
/// @param limit how many at most
/// @effect read
std::string find_{i}(const std::string& text, int limit = 10) {{ return text; }}
'''),
    "node": ("ts", "", '''/**
 * Finds thing {i}.
 *
 * Effect: read
 * @param text the text to look at
 * @param limit how many at most
 */
export function find{i}(text: string, limit: number = 10): string {{
  return text;
}}
'''),
    "go": ("go", "package functions\n\n", '''// Find{i} finds thing {i}.
//
//   - text: the text to look at
//   - limit: how many at most (default 10)
//
// Effect: read
func Find{i}(text string, limit int) string {{ return text }}
'''),
    "rust": ("rs", "", '''/// Finds thing {i}.
///
/// # Arguments
///
/// * `text` - the text to look at
///
/// Effect: read
pub fn find_{i}(text: String) -> String {{
    text
}}
'''),
    "java": ("java", "public class File{file} {{\n", '''    /**
     * Finds thing {i}.
     *
     * @param text the text to look at
     * @effect read
     */
    public static String find{i}(String text) {{
        return text;
    }}
'''),
    "shell": ("sh", "", '''# Finds thing {i}.
# @arg text string the text to look at
# @effect read
find_{i}() {{
  echo "$1"
}}
'''),
    "php": ("php", "<?php\n\nnamespace File{file};\n\n", '''/**
 * Finds thing {i}.
 *
 * @param string $text the text to look at
 * @param int $limit how many at most
 * @effect read
 */
function find_{i}(string $text, int $limit = 10): string
{{
    return $text;
}}
'''),
}


def write_project(root, languages):
    (root / "sabir.yml").write_text("name: listing\nlanguages: [%s]\n" % ", ".join(languages))
    for number in range(FUNCTIONS // IN_A_FILE):
        language = languages[number % len(languages)]
        extension, head, text = LANGUAGES[language]
        name = "File%d" % number if language == "java" else "file_%d" % number
        folder = root / "functions" / language
        folder.mkdir(parents=True, exist_ok=True)
        functions = "\n".join(text.format(i=number * IN_A_FILE + i) for i in range(IN_A_FILE))
        (folder / (name + "." + extension)).write_text(head.format(file=number) + functions + ("}\n" if language == "java" else ""))


def main():
    sabir, as_json = str(pathlib.Path(sys.argv[1]).resolve()), "--json" in sys.argv
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 7
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "project"
        root.mkdir()

        def listed():
            begin = time.perf_counter()
            done = subprocess.run([sabir, "functions", "--json"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
            return (time.perf_counter() - begin) * 1000, json.loads(done.stdout)

        # Languages that this machine has: those that list a function.
        write_project(root, [name for name in LANGUAGES if (CARRIED / name / "language.yml").exists()])
        here = {one["language"] for one in listed()[1]["functions"]}
        shutil.rmtree(root)
        root.mkdir()
        languages = [language for language in LANGUAGES if language in here]
        write_project(root, languages)
        cold, warm = [], []
        for _ in range(rounds):
            shutil.rmtree(root / ".sabir", ignore_errors=True)
            took, answer = listed()
            assert len(answer["functions"]) == FUNCTIONS, (len(answer["functions"]), answer["unavailable"][:3])
            cold.append(took)
            warm.append(listed()[0])
        met = True
        for what, times, target in (("with nothing kept", cold, 150), ("from what is kept", warm, 25)):
            value = statistics.median(times)
            met = met and value <= target
            row = {"measure": "listing 1,000 functions in %d languages, %s" % (len(languages), what), "value": value, "unit": "ms",
                   "reference": None, "ratio": None, "target": target, "met": value <= target}
            print(json.dumps(row) if as_json else "%-62s %9.1f ms  target <= %d  %s" % (
                row["measure"], value, target, "met" if row["met"] else "MISSED"), flush=True)
    return 0 if met else 1


sys.exit(main())
