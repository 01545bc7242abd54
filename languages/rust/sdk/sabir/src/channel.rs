//! The connection that this process's requests go over: the worker's own, or one to the project's engine.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::value::{Object, Value};
use crate::wire::{lock, Connection, Waited};
use crate::{json, ser, Error, Result, VERSION};

const CONNECT: Duration = Duration::from_secs(10);

/// The call that a worker runs.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: Value,
    pub cancelled: Arc<AtomicBool>,
    pub deadline: Option<Instant>,
}

static WORKER: OnceLock<Arc<Connection>> = OnceLock::new();
static RUNNING: Mutex<Option<Call>> = Mutex::new(None);
static CLIENT: Mutex<Option<Arc<Connection>>> = Mutex::new(None);

thread_local! {
    static OWN: RefCell<Option<Call>> = const { RefCell::new(None) };
}

pub fn serve_worker(connection: Arc<Connection>) {
    let _ = WORKER.set(connection);
}

pub fn set_running(call: Option<Call>) {
    *lock(&RUNNING) = call;
}

/// The call behind what this thread asks: its own, else the one that the worker runs.
pub fn current() -> Option<Call> {
    OWN.with(|own| own.borrow().clone()).or_else(|| lock(&RUNNING).clone())
}

/// Runs something on behalf of a call, on whatever thread.
pub fn with<T>(call: Option<Call>, run: impl FnOnce() -> T) -> T {
    OWN.with(|own| *own.borrow_mut() = call);
    let out = run();
    OWN.with(|own| *own.borrow_mut() = None);
    out
}

pub fn cancelled() -> bool {
    current().is_some_and(|call| call.cancelled.load(Ordering::Relaxed))
}

/// A notification of the running call; false outside a worker. `needs_call`: nothing is said when no call runs.
pub fn tell(method: &str, mut params: Object, needs_call: bool) -> bool {
    let Some(connection) = WORKER.get() else { return false };
    match current() {
        Some(call) => {
            params.insert("id".into(), call.id);
        }
        None if needs_call => return true,
        None => {}
    }
    connection.notify(method, &Value::Object(params).to_string(), &[]);
    true
}

/// One request; `member` is where `value` goes, which may be large ("" = nowhere).
pub fn ask<T: DeserializeOwned>(method: &str, mut params: Object, member: &str, value: &(impl Serialize + ?Sized)) -> Result<T> {
    ask_stream(method, &mut params, member, value, None)
}

pub fn ask_stream<T: DeserializeOwned>(method: &str, params: &mut Object, member: &str, value: &(impl Serialize + ?Sized),
    chunk: Option<Arc<dyn Fn(Value) + Send + Sync>>) -> Result<T> {
    let call = current();
    let connection = match WORKER.get() {
        Some(connection) => {
            if let Some(call) = &call {
                params.insert("parent".into(), call.id.clone());
            }
            connection.clone()
        }
        None => client()?,
    };
    let mut text = Value::Object(std::mem::take(params)).to_string();
    let mut blobs = Vec::new();
    if !member.is_empty() {
        let mut written = ser::write(value, &format!("/{member}")).map_err(|why| Error::new("invalid_arguments", format!("{method} cannot be sent: {why}"), ""))?;
        // No arguments may be written as ().
        if (member == "arguments" || member == "variables") && written.text == "null" && written.blobs.is_empty() {
            written.text = "{}".into();
        }
        text.pop();
        if text.len() > 1 {
            text.push(',');
        }
        json::write_string(&mut text, member);
        text.push(':');
        text += &written.text;
        text += &written.listed();
        text.push('}');
        blobs = written.blobs;
    }
    let given_up = || call.as_ref().is_some_and(|call| call.cancelled.load(Ordering::Relaxed));
    match connection.ask(method, &text, &blobs, chunk, None, &given_up) {
        Waited::GivenUp => Err(Error::new("cancelled", format!("{method} was given up: the call was cancelled"), "")),
        Waited::Closed => {
            *lock(&CLIENT) = None;
            Err(Error::new("outcome_unknown", format!("the engine went away during {method}; it may or may not have happened"),
                "try again; `sabir engine status` tells whether an engine runs"))
        }
        Waited::Answer(Err(failure)) => {
            let text = |name: &str| failure.data[name].as_str().unwrap_or_default().to_string();
            let kind = text("type");
            Err(Error { kind: if kind.is_empty() { "internal".into() } else { kind }, message: failure.message, hint: text("hint"), data: failure.data })
        }
        Waited::Answer(Ok(result)) => {
            T::deserialize(result).map_err(|misfit| Error::new("invalid_result", format!("the answer to {method} does not fit: {misfit}"), ""))
        }
    }
}

fn client() -> Result<Arc<Connection>> {
    let mut client = lock(&CLIENT);
    if let Some(connection) = &*client {
        return Ok(connection.clone());
    }
    let root = project()?;
    let connection = match running_engine(&root) {
        Some(connection) => connection,
        None => attach(&root)?,
    };
    *client = Some(connection.clone());
    Ok(connection)
}

fn project() -> Result<PathBuf> {
    let given = std::env::var_os("SABIR_PROJECT").filter(|value| !value.is_empty()).map(PathBuf::from);
    let start = given.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    for folder in start.ancestors() {
        if folder.join("sabir.yml").is_file() {
            return Ok(folder.to_path_buf());
        }
        if given.is_some() {
            break;
        }
    }
    Err(Error::new("no_project", format!("no Sabir project at {}: there is no sabir.yml", start.display()),
        "change into the project's folder, set SABIR_PROJECT, or make one with `sabir new`"))
}

fn environment() -> String {
    std::env::var("SABIR_ENV").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "development".into())
}

/// The project's running engine, if one of this version answers.
fn running_engine(root: &Path) -> Option<Arc<Connection>> {
    // What is recorded or replayed, has a store of its own or goes to an engine elsewhere is this process's own.
    if ["SABIR_RECORD", "SABIR_REPLAY", "SABIR_STATE_DIR", "SABIR_ENGINE"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return None;
    }
    let text = std::fs::read_to_string(root.join(".sabir").join(environment()).join("engine.json")).ok()?;
    let published = json::parse(&text).ok()?;
    if published["format"].as_i64() != Some(1) {
        return None;
    }
    let stream = UnixStream::connect(published["socket"].as_str()?).ok()?;
    greet(OwnedFd::from(stream), root).ok()
}

extern "C" {
    fn fcntl(fd: i32, command: i32, ...) -> i32;
    fn setsid() -> i32;
}
const F_SETFD: i32 = 2;
const FD_CLOEXEC: i32 = 1;

fn attach(root: &Path) -> Result<Arc<Connection>> {
    let binary = std::env::var("SABIR_BIN").ok().filter(|binary| !binary.is_empty()).unwrap_or_else(|| "sabir".into());
    let (ours, theirs) = UnixStream::pair().map_err(|error| Error::new("unavailable", format!("no socket pair: {error}"), ""))?;
    let number = theirs.as_raw_fd();
    let mut command = Command::new(&binary);
    command.arg("attach").arg("--project").arg(root).arg("--env").arg(environment());
    command.env("SABIR_FD", number.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
    // SAFETY: fcntl and setsid may be called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if fcntl(number, F_SETFD, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            setsid();
            Ok(())
        });
    }
    let mut child = command.spawn()
        .map_err(|error| Error::new("unavailable", format!("the engine `{binary}` does not start: {error}"), "put it on PATH, or set SABIR_BIN to its path"))?;
    drop(theirs);
    // It ends with the connection, which ends with this process.
    std::thread::spawn(move || child.wait());
    greet(OwnedFd::from(ours), root)
}

fn greet(stream: OwnedFd, root: &Path) -> Result<Arc<Connection>> {
    let unavailable = |error: std::io::Error| Error::new("unavailable", error.to_string(), "");
    let input = File::from(stream.try_clone().map_err(unavailable)?);
    let connection = Connection::new(File::from(stream));
    let reading = connection.clone();
    std::thread::spawn(move || {
        let answering = reading.clone();
        reading.serve(input, move |message| {
            let Some(id) = &message.id else { return };
            if message.method == "ping" {
                answering.answer(id, &Value::Object(Object::new()));
            } else {
                answering.answer_error(id, -32601, "unknown_method", &format!("unknown method {}", message.method), Object::new());
            }
            answering.flush();
        });
    });
    let mut params = crate::args! {
        protocol: crate::args! { min: 1, max: 1 }, role: "client", sdk: VERSION, language: "rust", project: root.to_string_lossy()
    };
    if let (Ok(user), Value::Object(members)) = (std::env::var("SABIR_USER"), &mut params) {
        members.insert("context".into(), crate::args! { user: user });
    }
    match connection.ask("hello", &params.to_string(), &[], None, Some(Instant::now() + CONNECT), &|| false) {
        Waited::Answer(Ok(_)) => Ok(connection),
        Waited::Answer(Err(failure)) => Err(Error::new("protocol", failure.message, "")),
        _ => Err(Error::new("protocol", "the engine did not answer within 10 seconds", "`sabir doctor` looks for the cause; its messages are on standard error")),
    }
}

/// The descriptors of SABIR_FD as files, which no program that a function starts inherits.
pub fn descriptors(given: &str) -> Option<(File, File)> {
    let (read, write) = given.split_once(',').unwrap_or((given, given));
    let (read, write): (i32, i32) = (read.parse().ok()?, write.parse().ok()?);
    // SAFETY: the engine gave them to this process, and nobody else here has them.
    let (input, output) = unsafe {
        if fcntl(read, F_SETFD, FD_CLOEXEC) < 0 || fcntl(write, F_SETFD, FD_CLOEXEC) < 0 {
            return None;
        }
        let input = File::from_raw_fd(read);
        let output = if read == write { input.try_clone().ok()? } else { File::from_raw_fd(write) };
        (input, output)
    };
    Some((input, output))
}
