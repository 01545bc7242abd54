//! The engine's programs for Rust, in one: describe, build and test. run.sh compiles it once.

mod build;
mod cargo;
mod describe;
mod json;
mod junit;
mod lex;
mod manifest;
mod parse;
mod schema;
mod serde;
mod syntax;
mod test;
mod workspace;
#[cfg(test)]
mod tests;
mod world;

use std::io::{Read, Write};
use std::path::PathBuf;

use json::Json;

const LARGEST_INPUT: u64 = 64 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("describe") => describe_all(),
        Some("build") => input().and_then(|asked| build::build(&asked)).and_then(|answer| say(&answer)),
        Some("test") => test::test(&arguments[1..]),
        _ => Err("usage: tools describe | build | test CARGO REPORT SDK FILE…".into()),
    };
    if let Err(why) = done {
        eprintln!("{why}");
        std::process::exit(1);
    }
}

fn input() -> Result<Json, String> {
    let mut text = String::new();
    std::io::stdin().take(LARGEST_INPUT).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let asked = json::parse(&text).ok_or("standard input is no JSON")?;
    if asked.int("version") != 1 {
        return Err("this program knows version 1 of spec/describe.md and spec/build.md".into());
    }
    Ok(asked)
}

fn describe_all() -> Result<(), String> {
    let asked = input()?;
    let root = std::env::current_dir().map_err(|error| error.to_string())?;
    let mut world = world::World::new(&root);
    let files: Vec<(String, PathBuf)> = asked.list("files").iter().map(|file| (file.text("path").to_string(), root.join(file.text("path")))).collect();
    for (file, (_, full)) in asked.list("files").iter().zip(&files) {
        world.sources.insert(full.clone(), file.text("source").into());
    }
    let mut out = Vec::new();
    for (path, full) in &files {
        world.looked_at.borrow_mut().clear();
        out.push(match describe::describe(&world, full) {
            Ok(told) => {
                let others = world.looked_at.borrow().keys().filter(|other| *other != full)
                    .map(|other| other.strip_prefix(&root).unwrap_or(other).to_string_lossy().into_owned()).collect();
                told.json(path, others)
            }
            Err(wrong) => Json::object().with("path", path.as_str())
                .with("error", Json::object().with("message", wrong.message).with("line", wrong.line).with("column", wrong.column)),
        });
    }
    say(&Json::object().with("version", 1i64).with("files", out))
}

fn say(answer: &Json) -> Result<(), String> {
    std::io::stdout().write_all(answer.to_string().as_bytes()).map_err(|error| error.to_string())
}
