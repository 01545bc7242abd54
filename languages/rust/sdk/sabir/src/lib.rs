//! The SDK of a Sabir project: functions in every language, memory, prompts, models and secrets.
//!
//! Inside a function that the engine calls, everything goes over the worker's own connection, under the caller's context. In
//! any other process (`cargo test`, a service) the SDK joins the project's running engine or starts a private one; there is one
//! connection per process.

mod channel;
mod de;
mod json;
pub mod memory;
mod ser;
mod value;
mod wire;
#[doc(hidden)]
pub mod worker;

use std::fmt;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
pub use value::{Bytes, Object, Value};

/// Of this SDK, which is the engine's.
pub const VERSION: &str = "0.1.0";

/// Who a call is made for. A parameter of this type is filled in by the engine and is no argument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    pub user: String,
    pub tenant: String,
    pub conversation: String,
    pub run: String,
}

/// What the engine, or a function it called, answered.
#[derive(Clone, Debug)]
pub struct Error {
    /// In snake_case: unknown_function, timeout, …
    pub kind: String,
    pub message: String,
    /// What to do next, or "".
    pub hint: String,
    pub data: Value,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl Error {
    pub(crate) fn new(kind: &str, message: impl Into<String>, hint: &str) -> Error {
        Error { kind: kind.into(), message: message.into(), hint: hint.into(), data: Value::Null }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Deserialize)]
struct Valued<T> {
    value: T,
}

pub(crate) fn named(name: &str, value: &str) -> Object {
    Object::from([(name.into(), value.into())])
}

/// Calls a function of the project, in whatever language it is written.
///
/// `address` is "module.function", "function", or has a language in front: "ruby/module.function". `arguments` are
/// `args! { text: "…" }`, a struct or a map; `()` where there are none.
pub fn call<T: DeserializeOwned>(address: &str, arguments: impl Serialize) -> Result<T> {
    Ok(channel::ask::<Valued<T>>("functions.call", named("address", address), "arguments", &arguments)?.value)
}

/// Calls a function and hands each value that it yields to `each`, as it comes; one that yields nothing gives its one value.
/// An error of `each` ends the call and is returned.
pub fn stream<T: DeserializeOwned>(address: &str, arguments: impl Serialize, mut each: impl FnMut(T) -> Result<()>) -> Result<()> {
    #[derive(Deserialize)]
    struct Streamed {
        value: Value,
        #[serde(default)]
        streamed: u64,
    }
    let arguments = Value::of(arguments)?;
    let (sender, values) = std::sync::mpsc::channel();
    let take = std::sync::Arc::new(move |value: Value| {
        let _ = sender.send(value);
    });
    // Its own flag, so that an error of `each` ends this request and not the running call.
    let outer = channel::current();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let call = outer.clone().map(|call| channel::Call { cancelled: stop.clone(), ..call });
    let mut params = named("address", address);
    params.insert("stream".into(), true.into());
    // The values are handed over on this thread, where `each` may call the engine.
    let asking = std::thread::spawn(move || {
        channel::with(call, || channel::ask_stream::<Streamed>("functions.call", &mut params, "arguments", &arguments, Some(take)))
    });
    let end = || stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut own = None;
    loop {
        match values.recv_timeout(Duration::from_millis(100)) {
            Ok(value) if own.is_none() => {
                if let Err(error) = value.to().and_then(&mut each) {
                    own = Some(error);
                    end();
                }
            }
            Ok(_) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) if cancelled() => end(),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    let answer = asking.join().unwrap_or_else(|_| Err(Error::new("internal", "the asking thread ended", "")));
    match own {
        Some(error) => Err(error),
        None => {
            let answer = answer?;
            if answer.streamed == 0 { each(answer.value.to()?) } else { Ok(()) }
        }
    }
}

/// One of `functions()`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Function {
    pub address: String,
    pub language: String,
    pub summary: String,
    pub effect: String,
    pub input_schema: Value,
    pub output_schema: Value,
}

/// The project's functions.
pub fn functions() -> Result<Vec<Function>> {
    #[derive(Deserialize)]
    struct Listed {
        functions: Vec<Function>,
    }
    Ok(channel::ask::<Listed>("functions.list", Object::new(), "", &())?.functions)
}

/// A completion template's text with the variables filled in: `args! { text: "…" }`, a struct or a map.
pub fn render(name: &str, variables: impl Serialize) -> Result<String> {
    #[derive(Deserialize)]
    struct Rendered {
        text: String,
    }
    Ok(channel::ask::<Rendered>("completions.render", named("name", name), "variables", &variables)?.text)
}

/// One message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: String,
    pub content: String,
}

/// A model's reply.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reply {
    pub content: String,
    pub model: String,
    pub provider: String,
    pub finish_reason: String,
    pub usage: Value,
    pub tool_calls: Vec<Value>,
}

/// A model's completion of one text.
pub fn complete(prompt: &str) -> Result<Reply> {
    complete_with(&[Message { role: "user".into(), content: prompt.into() }], ())
}

/// A model's completion of messages; `more` has `model`, `tools`, `output_schema` and `parameters` as needed:
/// `args! { model: "openai", parameters: args! { temperature: 0.5 } }`.
pub fn complete_with(messages: &[Message], more: impl Serialize) -> Result<Reply> {
    let params = match Value::of(more)? {
        Value::Object(params) => params,
        _ => Object::new(),
    };
    channel::ask("models.complete", params, "messages", messages)
}

/// An assistant's answer; `conversation` continues it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    pub content: String,
    pub conversation: String,
    pub model: String,
    pub calls: Vec<Value>,
}

/// Asks an assistant. `conversation`: "" begins a new one.
pub fn ask(assistant: &str, message: &str, conversation: &str) -> Result<Answer> {
    let mut params = named("name", assistant);
    if !conversation.is_empty() {
        params.insert("conversation".into(), conversation.into());
    }
    channel::ask("assistants.run", params, "message", message)
}

/// A secret's value, if the running function is granted it. Keep it out of results and logs.
pub fn secret(name: &str) -> Result<String> {
    Ok(channel::ask::<Valued<String>>("secrets.get", named("name", name), "", &())?.value)
}

/// Tells the caller how far the running call is; `total` 0 = unknown. Does nothing outside a worker.
pub fn progress(done: f64, total: f64, message: &str) {
    if !done.is_finite() || !total.is_finite() {
        return;
    }
    let mut params = named("message", message);
    params.insert("done".into(), done.into());
    if total > 0.0 {
        params.insert("total".into(), total.into());
    }
    channel::tell("progress", params, true);
}

/// Writes one record into the engine's log; on standard error outside a worker. level: debug, info, warning or error.
pub fn log(level: &str, message: &str) {
    let mut params = named("level", level);
    params.insert("message".into(), message.into());
    if !channel::tell("log", params, false) {
        eprintln!("{level}: {message}");
    }
}

/// Whether the running call has been cancelled, which its deadline does too: a function that computes for long asks now and then.
pub fn cancelled() -> bool {
    channel::cancelled()
}

/// An error when the running call has been cancelled: `sabir::check()?` ends the function there.
pub fn check() -> Result<()> {
    if cancelled() { Err(Error::new("cancelled", "the call was cancelled", "")) } else { Ok(()) }
}

/// Waits; an error as soon as the running call is cancelled.
pub fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
}

/// What remains until the running call's deadline; None where it has none.
pub fn time_left() -> Option<Duration> {
    channel::current()?.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}
