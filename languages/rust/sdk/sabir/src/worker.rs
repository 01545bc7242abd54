//! Serves a project's Rust functions to the engine (spec/worker-protocol.md). The build program writes a `main` that adds every
//! function and runs it. Calls run one at a time on the main thread; another one reads.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::{Debug, Display};
use std::future::Future;
use std::io::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::channel::{self, Call};
use crate::ser::{write, Written};
use crate::value::{Object, Value};
use crate::wire::{lock, place, Connection, Message, LARGEST, LONE, MOST_BLOBS};
use crate::{json, Context, Error, VERSION};

// A function that last took less does not make finished answers leave before it runs.
const QUICK: Duration = Duration::from_micros(200);

/// Why a call has no value.
#[derive(Debug)]
pub enum Trouble {
    Arguments(String),
    Result(String),
    Function { class: String, message: String, cause: Option<Box<Error>> },
    Cancelled,
}

pub type Outcome = Result<Written, Trouble>;

/// The arguments of one call.
pub struct Arguments {
    given: Object,
    context: Context,
}

impl Arguments {
    fn fit<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, Trouble> {
        T::deserialize(value).map_err(|misfit| {
            let text = misfit.to_string();
            let (path, why) = if text.starts_with('/') { text.split_once(": ").unwrap_or(("", &text)) } else { ("", text.as_str()) };
            Trouble::Arguments(format!("/{name}{path}: {why}"))
        })
    }

    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Trouble> {
        match self.given.remove(name) {
            Some(value) => Self::fit(name, value),
            None => Err(Trouble::Arguments(format!("the argument {name} is missing"))),
        }
    }

    /// Left out is null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Trouble> {
        Self::fit(name, self.given.remove(name).unwrap_or_default())
    }

    /// `default` is JSON.
    pub fn or<T: DeserializeOwned>(&mut self, name: &str, default: &str) -> Result<T, Trouble> {
        match self.given.remove(name) {
            Some(value) => Self::fit(name, value),
            None => Self::fit(name, json::parse(default).map_err(Trouble::Arguments)?),
        }
    }

    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Nothing may be left.
    pub fn end(&self, function: &str) -> Result<(), Trouble> {
        match self.given.keys().next() {
            Some(name) => Err(Trouble::Arguments(format!("{function} has no parameter {name}"))),
            None => Ok(()),
        }
    }
}

/// A function's value as the answer's.
pub fn value<T: Serialize>(value: T) -> Outcome {
    write(&value, "/value").map_err(Trouble::Result)
}

/// A function's error, of whatever type: `(&&&Failed(error)).trouble()` finds the closest of the three ways below.
pub struct Failed<E>(pub E);

fn trouble<E: 'static>(message: String, cause: Option<Error>) -> Trouble {
    if cause.as_ref().is_some_and(|cause| cause.kind == "cancelled") {
        return Trouble::Cancelled;
    }
    // shop::orders::OrderError<u8> is an OrderError, and a boxed error or a text is just an error.
    let full = std::any::type_name::<E>();
    let plain = full.split('<').next().unwrap_or(full);
    let name = plain.rsplit("::").next().unwrap_or(plain);
    let class = if matches!(name, "Box" | "String" | "Arc" | "Rc") || name.starts_with('&') || name.is_empty() { "Error" } else { name };
    Trouble::Function { class: class.into(), message, cause: cause.map(Box::new) }
}

fn engine_error(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut at = Some(error);
    for _ in 0..32 {
        if let Some(found) = at?.downcast_ref::<Error>() {
            return Some(found.clone());
        }
        at = at?.source();
    }
    None
}

pub trait ByError {
    fn trouble(&self) -> Trouble;
}
impl<E: std::error::Error + 'static> ByError for &&Failed<E> {
    fn trouble(&self) -> Trouble {
        trouble::<E>(self.0.to_string(), engine_error(&self.0))
    }
}

pub trait ByDisplay {
    fn trouble(&self) -> Trouble;
}
impl<E: Display + 'static> ByDisplay for &Failed<E> {
    fn trouble(&self) -> Trouble {
        let any = &self.0 as &dyn Any;
        let cause = if let Some(boxed) = any.downcast_ref::<Box<dyn std::error::Error>>() {
            engine_error(&**boxed)
        } else if let Some(boxed) = any.downcast_ref::<Box<dyn std::error::Error + Send + Sync>>() {
            engine_error(&**boxed)
        } else {
            None
        };
        trouble::<E>(self.0.to_string(), cause)
    }
}

pub trait ByDebug {
    fn trouble(&self) -> Trouble;
}
impl<E: Debug + 'static> ByDebug for Failed<E> {
    fn trouble(&self) -> Trouble {
        trouble::<E>(format!("{:?}", self.0), None)
    }
}

thread_local! {
    static ANSWERING: RefCell<Option<(Arc<Connection>, Call)>> = const { RefCell::new(None) };
}

/// Sends each value as it comes, and gives all of them. The first trouble ends it.
pub fn stream<T: Serialize>(values: impl Iterator<Item = Result<T, Trouble>>) -> Outcome {
    let Some((connection, call)) = ANSWERING.with(|answering| answering.borrow().clone()) else {
        return Err(Trouble::Result("no call runs".into()));
    };
    let mut all = Vec::new();
    for (index, value) in values.enumerate() {
        if call.cancelled.load(Ordering::Relaxed) {
            return Err(Trouble::Cancelled);
        }
        let written = write(&value?, "/value").map_err(|why| Trouble::Result(format!("/{index}: {why}")))?;
        let listed = written.listed();
        connection.notify("chunk", &format!("{{\"id\":{},\"value\":{}{listed}}}", call.id, written.text), &written.blobs);
        all.push(written.into_value().map_err(Trouble::Result)?);
    }
    value(all)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread. Ends without a value when the call is cancelled.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, Trouble> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = TaskContext::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Ok(value);
        }
        if channel::cancelled() {
            return Err(Trouble::Cancelled);
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

type Run = fn(&mut Arguments) -> Outcome;

struct Function {
    run: Run,
    quick: bool,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    running: Option<Call>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

/// What `main` adds functions to.
#[derive(Default)]
pub struct Worker {
    functions: HashMap<String, HashMap<String, Function>>,
    runtime: String,
}

#[derive(Default)]
struct Panic {
    file: String,
    line: u32,
    message: String,
    traceback: String,
}

thread_local! {
    static PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

static FILES: OnceLock<HashSet<String>> = OnceLock::new();

// Where a panic began: its own place if that is the user's, else the innermost frame in one of the user's files.
fn notice(info: &std::panic::PanicHookInfo<'_>) {
    let said = info.payload();
    let message = said.downcast_ref::<&str>().map(ToString::to_string).or_else(|| said.downcast_ref::<String>().cloned()).unwrap_or_default();
    let mut panic = Panic { message, ..Panic::default() };
    let known = |file: &str| FILES.get().is_some_and(|files| files.contains(file));
    if let Some(place) = info.location() {
        panic.file = place.file().to_string();
        panic.line = place.line();
    }
    if !known(&panic.file) {
        panic.traceback = Backtrace::force_capture().to_string();
        let at = panic.traceback.lines().filter_map(|line| {
            let mut parts = line.trim().strip_prefix("at ")?.rsplitn(3, ':');
            let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
            Some((file.to_string(), line.parse().ok()?))
        });
        if let Some((file, line)) = { at }.find(|(file, _)| known(file)) {
            panic.file = file;
            panic.line = line;
        } else {
            panic.file.clear();
        }
    }
    PANIC.with(|last| *last.borrow_mut() = Some(panic));
}

impl Worker {
    /// `runtime` is the compiler's version.
    pub fn new(runtime: &str) -> Worker {
        Worker { functions: HashMap::new(), runtime: runtime.into() }
    }

    pub fn add(&mut self, file: &str, name: &str, run: Run) {
        self.functions.entry(file.into()).or_default().insert(name.into(), Function { run, quick: false });
    }

    /// Serves until the connection ends.
    pub fn run(mut self) {
        let given = std::env::var("SABIR_FD").unwrap_or_default();
        let Some((input, output)) = channel::descriptors(&given) else {
            eprintln!("sabir: the Rust worker is started by the engine");
            std::process::exit(2);
        };
        // SAFETY: no other thread runs yet.
        #[allow(unused_unsafe)]
        unsafe {
            std::env::remove_var("SABIR_FD");
        }
        let connection = Connection::new(output);
        channel::serve_worker(connection.clone());
        let _ = FILES.set(self.functions.keys().cloned().collect());
        std::panic::set_hook(Box::new(notice));
        let shared = Arc::new(Shared::default());
        let (reading, taking, answering, runtime) = (connection.clone(), shared.clone(), connection.clone(), self.runtime.clone());
        std::thread::spawn(move || {
            reading.serve(input, |message| take(&answering, &taking, &runtime, message));
            let mut queue = lock(&taking.queue);
            queue.closed = true;
            if let Some(call) = &queue.running {
                call.cancelled.store(true, Ordering::Relaxed);
            }
            taking.arrived.notify_all();
        });
        while let Some(message) = next(&connection, &shared) {
            let id = message.id.clone().unwrap_or_default();
            if message.method == "drain" {
                connection.answer(&id, &Value::Object(Object::new()));
                connection.flush();
                return;
            }
            self.call(&connection, &shared, id, message);
        }
    }

    fn call(&mut self, connection: &Arc<Connection>, shared: &Shared, id: Value, message: Message) {
        let refuse = |why: &str| connection.answer_error(&id, -32602, "invalid_arguments", why, Object::new());
        let fail = |kind: &str, message: &str, data: Object| connection.answer_error(&id, -32000, kind, message, data);
        if message.lone_surrogate {
            return refuse(LONE);
        }
        let mut params = message.params;
        if let Err(why) = place(&mut params, message.blobs) {
            return refuse(&why);
        }
        let Value::Object(mut params) = params else { return refuse("a call needs module, function and arguments") };
        let given = match params.remove("arguments") {
            Some(Value::Object(given)) => given,
            None => Object::new(),
            Some(_) => return refuse("the arguments are no object"),
        };
        let context = match params.remove("context").map_or_else(|| Ok(Context::default()), Value::to::<Context>) {
            Ok(context) => context,
            Err(error) => return refuse(&format!("/context: {error}")),
        };
        let text = |name: &str| params.get(name).and_then(Value::as_str).unwrap_or_default();
        let (module, name) = (text("module"), text("function"));
        if name.is_empty() {
            return refuse("a call needs module, function and arguments");
        }
        let Some(function) = self.functions.get_mut(module).and_then(|functions| functions.get_mut(name)) else {
            return fail("unknown_function", &format!("{module} has no function {name}"), Object::new());
        };
        if !function.quick {
            connection.flush();
        }
        let began = Instant::now();
        let time = params.get("deadline_ms").and_then(Value::as_i64).and_then(|time| u64::try_from(time).ok());
        let call = Call { id: id.clone(), cancelled: Arc::new(AtomicBool::new(false)), deadline: time.and_then(|time| began.checked_add(Duration::from_millis(time))) };
        lock(&shared.queue).running = Some(call.clone());
        channel::set_running(Some(call.clone()));
        ANSWERING.with(|answering| *answering.borrow_mut() = Some((connection.clone(), call)));
        let mut arguments = Arguments { given, context };
        let outcome = catch_unwind(AssertUnwindSafe(|| (function.run)(&mut arguments)));
        let _ = std::io::stdout().flush();
        function.quick = began.elapsed() < QUICK;
        ANSWERING.with(|answering| *answering.borrow_mut() = None);
        lock(&shared.queue).running = None;
        channel::set_running(None);
        match outcome {
            Ok(Ok(written)) => {
                let size: usize = written.text.len() + written.blobs.iter().map(Vec::len).sum::<usize>();
                if size > LARGEST - 65536 || written.blobs.len() > MOST_BLOBS {
                    return fail("invalid_result", &format!("{name} returned more than a frame can carry"), Object::new());
                }
                connection.answer_value(&id, &written);
            }
            Ok(Err(Trouble::Arguments(why))) => refuse(&why),
            Ok(Err(Trouble::Result(why))) => {
                let hint = Object::from([("hint".into(), "return finite numbers, and maps whose keys are strings or integers".into())]);
                fail("invalid_result", &format!("{name} returned a value that JSON cannot carry: {why}"), hint);
            }
            Ok(Err(Trouble::Cancelled)) => fail("cancelled", "the call was cancelled", Object::new()),
            Ok(Err(Trouble::Function { class, message, cause })) => {
                let mut data = Object::from([("error_class".into(), class.into())]);
                if let Some(cause) = cause {
                    data.insert("cause".into(), Value::Object(Object::from([("type".into(), cause.kind.into()), ("data".into(), cause.data)])));
                }
                fail("function_error", &message, data);
            }
            Err(_) => {
                let panic = PANIC.with(|panic| panic.borrow_mut().take()).unwrap_or_default();
                let mut data = Object::from([("error_class".into(), "panic".into())]);
                if !panic.traceback.is_empty() {
                    data.insert("traceback".into(), panic.traceback.into());
                }
                data.insert("file".into(), if panic.file.is_empty() { module } else { &panic.file }.into());
                if !panic.file.is_empty() {
                    data.insert("line".into(), panic.line.into());
                }
                fail("function_error", &format!("panic: {}", panic.message), data);
            }
        }
    }
}

/// The next call or drain; None when the connection has ended. Answers leave before it waits.
fn next(connection: &Connection, shared: &Shared) -> Option<Message> {
    let mut queue = lock(&shared.queue);
    if queue.messages.is_empty() {
        drop(queue);
        connection.flush();
        queue = lock(&shared.queue);
    }
    while queue.messages.is_empty() && !queue.closed {
        queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
    if queue.closed {
        return None;
    }
    queue.messages.pop_front()
}

/// Everything that arrives; on the reading thread.
fn take(connection: &Arc<Connection>, shared: &Shared, runtime: &str, message: Message) {
    let params = &message.params;
    let Some(id) = message.id.clone() else {
        if message.method == "cancel" {
            cancel(connection, shared, params);
        }
        return;
    };
    let nothing = Value::Object(Object::new());
    match message.method.as_str() {
        "call" | "drain" => {
            lock(&shared.queue).messages.push_back(message);
            shared.arrived.notify_all();
            return;
        }
        "ping" => connection.answer(&id, &nothing),
        "hello" => match (params["protocol"]["min"].as_i64(), params["protocol"]["max"].as_i64()) {
            (Some(min), Some(max)) if min <= 1 && max >= 1 => {
                let answer = crate::args! {
                    protocol: 1, language: "rust", runtime: runtime, sdk: VERSION, capabilities: crate::args! { blobs: true, chunks: true, cancel: false }
                };
                connection.answer(&id, &answer);
            }
            (Some(_), Some(_)) => {
                connection.answer_error(&id, -32001, "protocol", "this worker speaks protocol 1", Object::new());
                connection.flush();
                std::process::exit(1);
            }
            _ => connection.answer_error(&id, -32602, "invalid_arguments", "hello needs protocol.min and protocol.max", Object::new()),
        },
        "start" => match params["project"].as_str() {
            Some(project) => {
                for (name, value) in [("SABIR_PROJECT", project), ("SABIR_ENV", params["environment"].as_str().unwrap_or_default())] {
                    if std::env::var_os(name).is_none() && !value.is_empty() {
                        // SAFETY: no function has run yet, and the main thread only waits.
                        #[allow(unused_unsafe)]
                        unsafe {
                            std::env::set_var(name, value);
                        }
                    }
                }
                connection.answer(&id, &nothing);
            }
            None => connection.answer_error(&id, -32602, "invalid_arguments", "start needs the project's folder", Object::new()),
        },
        other => connection.answer_error(&id, -32601, "unknown_method", &format!("unknown method {other}"), Object::new()),
    }
    connection.flush();
}

fn cancel(connection: &Arc<Connection>, shared: &Shared, params: &Value) {
    let id = &params["id"];
    let mut queue = lock(&shared.queue);
    if let Some(call) = queue.running.as_ref().filter(|call| call.id == *id) {
        call.cancelled.store(true, Ordering::Relaxed);
        connection.wake();
        return;
    }
    let found = queue.messages.iter().position(|message| message.method == "call" && message.id.as_ref() == Some(id));
    if let Some(index) = found {
        queue.messages.remove(index);
        drop(queue);
        let data = Object::from([("reason".into(), params["reason"].clone())]);
        connection.answer_error(id, -32000, "cancelled", "the call was cancelled before it ran", data);
        connection.flush();
    }
}
