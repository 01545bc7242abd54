//! The test command (spec/language.md): `#[test]` functions of the files asked for, in `#[cfg(test)]` modules and in test files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build::{test_folder, told_by_cargo};
use crate::cargo;
use crate::junit::{write, Case, Outcome};
use crate::syntax::{Item, ItemKind};
use crate::workspace::{shared_target, Source, Workspace, KINDS};
use crate::world::World;

const MOST_ROUNDS: usize = 50;
const MOST_FILES: usize = 20_000;

/// One `#[test]`: its name as the runner says it, and its line.
struct Found {
    name: String,
    line: u32,
}

struct File {
    source: Source,
    relative: String,
    asked: bool,
    tests: Vec<Found>,
    text: String,
}

pub fn test(arguments: &[String]) -> Result<(), String> {
    let [cargo, report, sdk, names @ ..] = arguments else { return Err("usage: tools test CARGO REPORT SDK FILE…".into()) };
    let root = std::env::current_dir().map_err(|error| error.to_string())?;
    let mut cases = Vec::new();
    let mut files = read(&root, names, &mut cases);
    if files.iter().all(|file| !file.asked || file.tests.is_empty()) {
        if cases.is_empty() {
            cases.push(Case { name: "#[test]".into(), class: "rust".into(), file: names.first().cloned().unwrap_or_default(), line: 1, outcome: Outcome::Skipped,
                message: format!("no #[test] in {} Rust {}", names.len(), if names.len() == 1 { "file" } else { "files" }), text: String::new() });
        }
    } else {
        run(cargo, &root, Path::new(sdk), &mut files, &mut cases)?;
    }
    std::fs::write(report, write(&cases)).map_err(|error| format!("{report}: cannot write: {error}"))?;
    if cases.iter().any(|one| matches!(one.outcome, Outcome::Failed | Outcome::Error)) {
        std::process::exit(1);
    }
    Ok(())
}

fn error(file: &str, line: i64, message: &str, text: &str) -> Case {
    Case { name: "build".into(), class: file.into(), file: file.into(), line, outcome: Outcome::Error, message: message.into(), text: text.into() }
}

// Every Rust file of the project's folders, since tests may use them all.
fn read(root: &Path, names: &[String], cases: &mut Vec<Case>) -> Vec<File> {
    let mut all: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    let language = all.iter().find_map(|file| {
        let relative = file.strip_prefix(root).ok()?;
        let mut parts = relative.iter();
        (parts.next()? != "tests").then(|| parts.next().map(|part| part.to_os_string())).flatten()
    }).unwrap_or_else(|| "rust".into());
    for kind in ["memory", "functions", "assistants"] {
        gather(&root.join(kind).join(&language), &mut all, 0);
    }
    all.sort();
    all.dedup();
    let world = World::new(root);
    let mut out = Vec::new();
    for file in all {
        let relative = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        let Some(source) = Source::of(root, &file) else { continue };
        if source.modules == ["lib"] {
            continue;
        }
        let asked = names.contains(&relative);
        match world.source(&file) {
            Ok(module) => {
                let mut tests = Vec::new();
                find(module.items(), &source.modules.join("::"), &mut tests);
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                out.push(File { source, relative, asked, tests, text });
            }
            Err(wrong) => cases.push(error(&relative, wrong.line.into(), &wrong.message, &format!("{relative}:{}: {}", wrong.line, wrong.message))),
        }
    }
    out
}

fn gather(folder: &Path, out: &mut Vec<PathBuf>, depth: usize) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') || out.len() > MOST_FILES {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth < 16 && !matches!(name.as_str(), "target" | "vendor" | "node_modules" | "build") {
                gather(&path, out, depth + 1);
            }
        } else if name.ends_with(".rs") {
            out.push(path);
        }
    }
}

fn find(items: &[Item], prefix: &str, out: &mut Vec<Found>) {
    for item in items {
        match &item.kind {
            ItemKind::Module(Some(inner)) => find(inner, &format!("{prefix}::{}", item.name), out),
            ItemKind::Function(_) if item.attributes.all.iter().any(|attribute| matches!(attribute.path.rsplit("::").next(), Some("test" | "rstest" | "test_case"))) => {
                out.push(Found { name: format!("{prefix}::{}", item.name), line: item.line });
            }
            _ => {}
        }
    }
}

fn run(cargo: &str, root: &Path, sdk: &Path, files: &mut Vec<File>, cases: &mut Vec<Case>) -> Result<(), String> {
    let sources = |files: &[File]| files.iter().map(|file| file.source.clone()).collect::<Vec<_>>();
    let mut workspace = Workspace::new(&test_folder(root), root, sdk);
    workspace.write(&sources(files), true, &|name| files.iter().any(|file| file.text.contains(name)))?;
    let mut kinds: Vec<&str> = KINDS.into_iter().filter(|kind| files.iter().any(|file| file.asked && file.source.kind == *kind && !file.tests.is_empty())).collect();
    for round in 0.. {
        let mut words: Vec<String> = ["test", "--no-run", "--lib"].map(String::from).to_vec();
        for kind in &kinds {
            words.extend(["--package".to_string(), workspace.package(kind)]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = cargo::run(cargo, &workspace.folder, &shared_target(), &words)?;
        if done.succeeded {
            for (name, program) in &done.programs {
                run_program(name, program, root, files, cases)?;
            }
            return Ok(());
        }
        let before = files.len();
        for found in &done.errors {
            let place = found.places.iter().find_map(|place| Some((files.iter().position(|file| file.source.absolute == place.file)?, place.line)));
            if let Some((index, line)) = place {
                let file = files.remove(index);
                cases.push(error(&file.relative, line, &found.message, &found.text.replace(&format!("{}/", root.display()), "")));
            }
        }
        if files.len() == before || round == MOST_ROUNDS {
            let texts: Vec<&str> = done.errors.iter().map(|found| found.text.as_str()).collect();
            return Err(told_by_cargo(&if texts.is_empty() { done.said } else { texts.join("\n") }));
        }
        kinds.retain(|kind| files.iter().any(|file| file.asked && file.source.kind == *kind && !file.tests.is_empty()));
        if kinds.is_empty() {
            return Ok(());
        }
        for kind in KINDS {
            if workspace.folder.join(kind).join("Cargo.toml").is_file() {
                workspace.write_modules(kind, &sources(files))?;
            }
        }
    }
    Ok(())
}

fn run_program(kind: &str, program: &Path, root: &Path, files: &[File], cases: &mut Vec<Case>) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg("--color=never").current_dir(root).stdin(Stdio::null()).env_remove("RUST_BACKTRACE");
    let own: Vec<&File> = files.iter().filter(|file| file.source.kind == kind).collect();
    if own.iter().any(|file| !file.asked) {
        command.args(own.iter().filter(|file| file.asked && !file.tests.is_empty()).map(|file| format!("{}::", file.source.modules.join("::"))));
    }
    let done = command.output().map_err(|error| format!("{}: does not start: {error}", program.display()))?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    eprint!("{}", String::from_utf8_lossy(&done.stderr));
    // The file whose module path is the longest that a test's name begins with.
    let file_of = |name: &str| own.iter().filter(|file| name.starts_with(&format!("{}::", file.source.modules.join("::")))).max_by_key(|file| file.source.modules.len());
    let mut seen: Vec<String> = Vec::new();
    for line in said.lines() {
        let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) else { continue };
        let name = name.trim_end_matches(" - should panic");
        let Some(file) = file_of(name).filter(|file| file.asked) else { continue };
        seen.push(name.into());
        let begins = file.tests.iter().find(|test| test.name == name).map_or(1, |test| test.line);
        let full = format!("{kind}::{name}");
        let class = full.rsplit_once("::").map_or(kind, |(class, _)| class).to_string();
        let mut case = Case { name: full, class, file: file.relative.clone(), line: begins.into(), outcome: Outcome::Passed, message: String::new(), text: String::new() };
        if let Some(reason) = outcome.strip_prefix("ignored") {
            case.outcome = Outcome::Skipped;
            case.message = reason.trim_start_matches([',', ' ']).to_string();
        } else if outcome != "ok" {
            case.outcome = Outcome::Failed;
            let text = said_by(&said, name).replace(&format!("{}/", root.display()), "");
            let (place, message) = failure(&text);
            if let Some((place, line)) = place.filter(|(place, _)| own.iter().any(|file| file.relative == *place)) {
                case.file = place;
                case.line = line;
            }
            case.message = message;
            case.text = text;
        }
        cases.push(case);
    }
    if !said.contains("test result: ") {
        for file in own.iter().filter(|file| file.asked) {
            for test in file.tests.iter().filter(|test| !seen.contains(&test.name)) {
                cases.push(Case { name: format!("{kind}::{}", test.name), class: kind.into(), file: file.relative.clone(), line: test.line.into(), outcome: Outcome::Error,
                    message: format!("the test program ended in the middle: {}", done.status), text: String::from_utf8_lossy(&done.stderr).into_owned() });
            }
        }
    }
    Ok(())
}

// The part of the output that belongs to a failed test.
fn said_by(said: &str, name: &str) -> String {
    let Some((_, rest)) = said.split_once(&format!("---- {name} stdout ----\n")) else { return String::new() };
    let end = rest.find("\n---- ").into_iter().chain(rest.find("\n\nfailures:\n")).min().unwrap_or(rest.len());
    rest[..end].trim().lines().filter(|line| !line.starts_with("note: run with `RUST_BACKTRACE")).collect::<Vec<_>>().join("\n")
}

// Where a test panicked, and what it said, on one line.
fn failure(text: &str) -> (Option<(String, i64)>, String) {
    let Some((_, rest)) = text.split_once("panicked at ") else {
        let first = text.lines().find(|line| line.starts_with("Error: ")).or(text.lines().last()).unwrap_or("it failed and said nothing");
        return (None, first.into());
    };
    let (place, said) = rest.split_once('\n').unwrap_or((rest, ""));
    let mut parts = place.trim_end_matches(':').rsplitn(3, ':');
    let (_column, line, file) = (parts.next(), parts.next().and_then(|line| line.parse().ok()), parts.next());
    let message: Vec<&str> = said.lines().map(str::trim).take_while(|line| !line.is_empty()).take(6).collect();
    (file.map(str::to_string).zip(line), message.join("; "))
}
