//! What the conformance runner calls. conformance/README.md describes each function.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sabir::{Bytes, Context, Value};
use serde::{Deserialize, Serialize};

#[derive(Debug)]
pub struct TesteeError(String);

impl fmt::Display for TesteeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for TesteeError {}

/// Gives its argument.
pub fn echo(value: Value) -> Value {
    value
}

/// a - b
pub fn subtract(a: f64, b: f64) -> f64 {
    a - b
}

/// Joins the greeting and the caller's user by a space.
pub fn context_user(greeting: &str, context: &Context) -> String {
    format!("{greeting} {}", context.user)
}

/// The whole context.
pub fn context_fields(context: Context) -> Context {
    context
}

/// An error with that text.
pub fn fail(message: String) -> Result<(), TesteeError> {
    Err(TesteeError(message))
}

/// NaN, which JSON cannot carry.
pub fn not_a_number() -> Vec<f64> {
    vec![1.0, f64::NAN]
}

pub struct Unfit;

impl Serialize for Unfit {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("an Unfit has no JSON form"))
    }
}

/// A value without any JSON form.
pub fn unfit() -> Unfit {
    Unfit
}

/// Yields 0 … n - 1.
pub fn count(n: i64) -> impl Iterator<Item = i64> {
    0..n
}

/// `size` bytes of text.
pub fn text_of(size: usize) -> String {
    "é".repeat(size / 2) + &"x".repeat(size % 2)
}

/// `size` bytes, each its index modulo 256.
pub fn bytes_of(size: usize) -> Bytes {
    Bytes((0..size).map(|index| (index % 256) as u8).collect())
}

/// The characters of a string, the bytes of a byte sequence.
pub fn length(value: Value) -> Result<usize, String> {
    match value {
        Value::String(text) => Ok(text.chars().count()),
        Value::Bytes(bytes) => Ok(bytes.len()),
        _ => Err("neither text nor bytes".into()),
    }
}

/// Tells bytes from text.
pub fn kind(value: Value) -> &'static str {
    match value {
        Value::Bytes(_) => "bytes",
        Value::String(_) => "text",
        _ => "other",
    }
}

/// Writes to standard output and standard error, which are the log.
pub fn print_line(text: String) -> String {
    println!("{text}");
    eprintln!("{text}");
    text
}

/// Waits without talking to the engine.
pub fn sleep(milliseconds: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(milliseconds));
    milliseconds
}

/// functions.call of the engine.
pub fn call_engine(address: &str, arguments: Value) -> sabir::Result<Value> {
    sabir::call(address, arguments)
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Caught {
    Value { value: Value },
    Error { r#type: String, message: String },
}

/// The engine's error as a value.
pub fn call_engine_caught(address: &str) -> Caught {
    match sabir::call(address, ()) {
        Ok(value) => Caught::Value { value },
        Err(error) => Caught::Error { r#type: error.kind, message: error.message },
    }
}

/// One progress and one log notification before the answer.
pub fn report(message: String) -> String {
    sabir::progress(1.0, 2.0, &message);
    sabir::log("info", &message);
    message
}

static RUNS: AtomicI64 = AtomicI64::new(0);

/// How often it ran in this worker.
pub fn count_run() -> i64 {
    RUNS.fetch_add(1, Ordering::Relaxed) + 1
}

/// How often count_run ran in this worker.
pub fn runs() -> i64 {
    RUNS.load(Ordering::Relaxed)
}

#[derive(Serialize, Deserialize)]
pub struct Point {
    x: f64,
    y: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Red,
    Green,
}

#[derive(Serialize)]
pub struct Structured {
    point: Point,
    colour: Colour,
}

/// The language's own structured types.
pub fn structured() -> Structured {
    let colours = [Colour::Red, Colour::Green];
    let [colour, _] = colours;
    Structured { point: Point { x: 1.5, y: 2.0 }, colour }
}
