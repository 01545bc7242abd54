//! Cargo, and what the compiler says, as places in the user's files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::json::{parse, Json};

/// One error of the compiler.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub message: String,
    /// Where the compiler points to, outermost last: a macro's own place, then where it is used.
    pub places: Vec<Place>,
    /// As the compiler shows it.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub file: PathBuf,
    pub line: i64,
    pub column: i64,
    pub label: String,
}

#[derive(Debug, Default)]
pub struct Output {
    pub succeeded: bool,
    pub errors: Vec<Diagnostic>,
    /// Programs that were made, with the libraries they are of.
    pub programs: Vec<(String, PathBuf)>,
    /// What Cargo itself says.
    pub said: String,
}

/// Runs `cargo …` in a workspace, with its messages as JSON.
pub fn run(cargo: &str, folder: &Path, target: &Path, words: &[&str]) -> Result<Output, String> {
    let mut command = Command::new(cargo);
    command.args(words).arg("--message-format=json").arg("--target-dir").arg(target).current_dir(folder).stdin(Stdio::null());
    command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never").env_remove("CARGO_BUILD_TARGET");
    let done = command.output().map_err(|error| format!("{cargo} does not start: {error}"))?;
    let mut out = Output { succeeded: done.status.success(), said: String::from_utf8_lossy(&done.stderr).into_owned(), ..Output::default() };
    for line in String::from_utf8_lossy(&done.stdout).lines() {
        let Some(told) = parse(line) else { continue };
        match told.text("reason") {
            "compiler-message" => {
                let Some(message) = told.get("message") else { continue };
                // "aborting due to 2 previous errors" has no place.
                if message.text("level").starts_with("error") && !message.list("spans").is_empty() {
                    out.errors.push(diagnostic(message, folder));
                } else if message.text("level").starts_with("error") && !message.text("message").starts_with("aborting due to") {
                    out.errors.push(Diagnostic { message: message.text("message").into(), places: Vec::new(), text: message.text("rendered").into() });
                }
            }
            "compiler-artifact" => {
                if let (Some(Json::Text(program)), Some(target)) = (told.get("executable"), told.get("target")) {
                    out.programs.push((target.text("name").into(), program.into()));
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

fn diagnostic(message: &Json, folder: &Path) -> Diagnostic {
    let mut places = Vec::new();
    let primary = message.list("spans").iter().filter(|span| span.get("is_primary") == Some(&Json::Bool(true)));
    let others = message.list("spans").iter().filter(|span| span.get("is_primary") != Some(&Json::Bool(true)));
    for span in primary.chain(others) {
        let mut at = Some(span);
        while let Some(span) = at {
            let name = Path::new(span.text("file_name"));
            let file = if name.is_absolute() { name.to_path_buf() } else { folder.join(name) };
            places.push(Place { file, line: span.int("line_start"), column: span.int("column_start"), label: span.text("label").into() });
            at = span.get("expansion").filter(|expansion| **expansion != Json::Null).and_then(|expansion| expansion.get("span"));
        }
    }
    let code = message.get("code").map_or("", |code| code.text("code"));
    let text = message.text("message").to_string();
    Diagnostic { message: if code.is_empty() { text } else { format!("{text} [{code}]") }, places, text: message.text("rendered").into() }
}
