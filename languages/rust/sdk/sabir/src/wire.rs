//! One connection of the worker protocol (spec/worker-protocol.md): frames, messages, requests of our own.
//!
//! Any thread may send and ask; one reads, in `serve`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::json;
use crate::ser::{pointed, Written};
use crate::value::{Object, Value};

pub const LARGEST: usize = 64 << 20;
pub const MOST_BLOBS: usize = 1024;
const LONGEST_HEAD: usize = 16384;

/// The peer's error.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    pub data: Value,
}

/// A request or notification with its frame's blobs.
#[derive(Debug)]
pub struct Message {
    pub id: Option<Value>,
    pub method: String,
    pub params: Value,
    pub blobs: Vec<Vec<u8>>,
    /// A string of it has a lone surrogate, which nothing here can hold.
    pub lone_surrogate: bool,
}

#[derive(Debug)]
enum Incoming {
    Message(Message),
    Answer(Value, Answer),
}

/// What an answer brings: its result, or the peer's error.
pub type Answer = Result<Value, Failure>;

type OnChunk = Arc<dyn Fn(Value) + Send + Sync>;

#[derive(Default)]
struct Pending {
    answer: Option<Answer>,
    chunk: Option<OnChunk>,
}

#[derive(Default)]
struct State {
    unsent: Vec<u8>,
    pending: HashMap<i64, Pending>,
    last: i64,
    closed: bool,
}

pub struct Connection {
    out: Mutex<File>,
    state: Mutex<State>,
    answered: Condvar,
}

/// How waiting for an answer ended.
pub enum Waited {
    Answer(Answer),
    Closed,
    GivenUp,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a frame's blobs where `blobs` in `params` says. Errors: what is wrong with the list.
pub fn place(params: &mut Value, blobs: Vec<Vec<u8>>) -> Result<(), String> {
    let listed = match params {
        Value::Object(members) => members.remove("blobs").unwrap_or_default(),
        _ => Value::Null,
    };
    let listed = match listed {
        Value::Array(entries) => entries,
        Value::Null => Vec::new(),
        _ => return Err("blobs has to be a list".into()),
    };
    if listed.len() != blobs.len() {
        return Err(format!("the frame has {} blobs, the list names {}", blobs.len(), listed.len()));
    }
    for (entry, blob) in listed.iter().zip(blobs) {
        let (Some(at), Some(kind)) = (entry["at"].as_str(), entry["type"].as_str()) else { return Err("a blob needs at and type".into()) };
        let put = match kind {
            "string" => Value::String(String::from_utf8(blob).map_err(|_| "a string blob is not UTF-8".to_string())?),
            "bytes" => Value::Bytes(blob),
            other => return Err(format!("a blob has the unknown type '{other}'")),
        };
        match pointed(params, at) {
            Some(target) if target.is_null() && at.starts_with('/') => *target = put,
            _ => return Err(format!("a blob's place '{at}' does not hold null")),
        }
    }
    Ok(())
}

impl Connection {
    pub fn new(out: File) -> Arc<Connection> {
        Arc::new(Connection { out: Mutex::new(out), state: Mutex::default(), answered: Condvar::new() })
    }

    /// Reads until the connection ends; `handle` takes requests and notifications.
    pub fn serve(self: &Arc<Self>, input: File, mut handle: impl FnMut(Message)) {
        let mut input = BufReader::with_capacity(65536, input);
        loop {
            let sizes = match head(&mut input) {
                Ok(Some(sizes)) => sizes,
                Ok(None) => break,
                Err(why) => {
                    self.answer_error(&Value::Null, -32600, "protocol", why, Object::new());
                    self.flush();
                    break;
                }
            };
            let mut parts = Vec::with_capacity(sizes.len());
            for size in sizes {
                let mut part = vec![0; size];
                if input.read_exact(&mut part).is_err() {
                    self.end();
                    return;
                }
                parts.push(part);
            }
            let text = parts.remove(0);
            match parse(&text, parts) {
                Ok(Incoming::Answer(id, answer)) => self.take_answer(&id, answer),
                Ok(Incoming::Message(message)) if message.method == "chunk" && message.id.is_none() => self.take_chunk(message),
                Ok(Incoming::Message(message)) => handle(message),
                Err((code, why)) => {
                    self.answer_error(&Value::Null, code, "protocol", why, Object::new());
                    self.flush();
                }
            }
        }
        self.end();
    }

    fn end(&self) {
        lock(&self.state).closed = true;
        self.answered.notify_all();
    }

    fn take_answer(&self, id: &Value, answer: Answer) {
        let mut state = lock(&self.state);
        if let Some(pending) = id.as_i64().and_then(|id| state.pending.get_mut(&id)) {
            pending.answer = Some(answer);
            self.answered.notify_all();
        }
    }

    fn take_chunk(&self, message: Message) {
        let Value::Object(mut params) = message.params else { return };
        let id = params.get("id").and_then(Value::as_i64);
        let take = id.and_then(|id| lock(&self.state).pending.get(&id).and_then(|pending| pending.chunk.clone()));
        if let Some(take) = take {
            take(params.remove("value").unwrap_or_default());
        }
    }

    fn put(&self, text: &str, blobs: &[Vec<u8>]) {
        let mut state = lock(&self.state);
        let unsent = &mut state.unsent;
        let _ = write!(unsent, "{}", text.len());
        for blob in blobs {
            let _ = write!(unsent, " {}", blob.len());
        }
        unsent.push(b'\n');
        unsent.extend_from_slice(text.as_bytes());
        for blob in blobs {
            unsent.extend_from_slice(blob);
        }
    }

    /// Writes what is queued, in one system call where the peer takes it.
    pub fn flush(&self) {
        let mut out = lock(&self.out);
        let text = std::mem::take(&mut lock(&self.state).unsent);
        if !text.is_empty() {
            let _ = out.write_all(&text);
        }
    }

    /// Queues an answer whose result has no blobs.
    pub fn answer(&self, id: &Value, result: &Value) {
        self.put(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"), &[]);
    }

    /// Queues an answer with the member `value`.
    pub fn answer_value(&self, id: &Value, value: &Written) {
        let listed = value.listed();
        self.put(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"value\":{}{listed}}}}}", value.text), &value.blobs);
    }

    /// Queues an error answer; the members of `more` go into its data.
    pub fn answer_error(&self, id: &Value, code: i64, kind: &str, message: &str, mut more: Object) {
        more.insert("type".into(), kind.into());
        let error = Value::Object(Object::from([("code".into(), code.into()), ("message".into(), message.into()), ("data".into(), more.into())]));
        self.put(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}"), &[]);
    }

    /// Sends a notification at once; `params` is JSON text.
    pub fn notify(&self, method: &str, params: &str, blobs: &[Vec<u8>]) {
        self.put(&format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{params}}}"), blobs);
        self.flush();
    }

    /// Sends a request and waits. When `given_up` says so, or at the deadline, the peer is told.
    pub fn ask(&self, method: &str, params: &str, blobs: &[Vec<u8>], chunk: Option<OnChunk>, deadline: Option<Instant>, given_up: &dyn Fn() -> bool) -> Waited {
        let id = {
            let mut state = lock(&self.state);
            if state.closed {
                return Waited::Closed;
            }
            state.last += 1;
            let id = state.last;
            state.pending.insert(id, Pending { answer: None, chunk });
            id
        };
        self.put(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}"), blobs);
        self.flush();
        let mut state = lock(&self.state);
        loop {
            if let Some(answer) = state.pending.get_mut(&id).and_then(|pending| pending.answer.take()) {
                state.pending.remove(&id);
                return Waited::Answer(answer);
            }
            if state.closed {
                state.pending.remove(&id);
                return Waited::Closed;
            }
            if given_up() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                state.pending.remove(&id);
                drop(state);
                self.notify("cancel", &format!("{{\"id\":{id},\"reason\":\"the caller has given up\"}}"), &[]);
                return Waited::GivenUp;
            }
            // Whoever cancels wakes this one; the time is for deadlines.
            state = self.answered.wait_timeout(state, Duration::from_millis(500)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Wakes those that wait, so that they look whether they have been given up.
    pub fn wake(&self) {
        let _state = lock(&self.state);
        self.answered.notify_all();
    }
}

fn head(input: &mut impl BufRead) -> Result<Option<Vec<usize>>, &'static str> {
    let mut line = Vec::new();
    loop {
        let part = match input.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Ok([]) | Err(_) => return Ok(None),
            Ok(part) => part,
        };
        let end = part.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(part.len(), |end| end + 1);
        if line.len() + taken > LONGEST_HEAD + 1 {
            return Err("the head of a frame is longer than 16384 bytes");
        }
        line.extend_from_slice(&part[..taken]);
        input.consume(taken);
        if end.is_some() {
            line.pop();
            break;
        }
        // Nobody waits for the end of a head that cannot become one.
        if line.len() > LONGEST_HEAD {
            return Err("the head of a frame is longer than 16384 bytes");
        }
    }
    let mut sizes = Vec::new();
    let mut total = 0usize;
    for word in line.split(|byte| *byte == b' ') {
        let plain = !word.is_empty() && word.len() <= 9 && (word.len() == 1 || word[0] != b'0') && word.iter().all(u8::is_ascii_digit);
        if !plain {
            return Err("the head of a frame is malformed");
        }
        total += word.iter().fold(0usize, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        sizes.push(word.iter().fold(0usize, |sum, digit| sum * 10 + usize::from(digit - b'0')));
        if total > LARGEST || sizes.len() > MOST_BLOBS + 1 {
            return Err("a frame is larger than the protocol allows");
        }
    }
    Ok(Some(sizes))
}

/// Why a lone surrogate is refused.
pub const LONE: &str = "a string has a lone surrogate (\\ud800 to \\udfff), which Rust's strings cannot hold";

fn parse(text: &[u8], blobs: Vec<Vec<u8>>) -> Result<Incoming, (i64, &'static str)> {
    const MALFORMED: (i64, &str) = (-32700, "a frame's JSON text does not parse");
    const NO_MESSAGE: (i64, &str) = (-32600, "a frame's JSON is not a JSON-RPC 2.0 object");
    let text = std::str::from_utf8(text).map_err(|_| MALFORMED)?;
    let (Value::Object(mut members), lone_surrogate) = json::parse_leniently(text).map_err(|_| MALFORMED)? else { return Err(NO_MESSAGE) };
    if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(NO_MESSAGE);
    }
    let id = members.remove("id");
    if id.as_ref().is_some_and(|id| !matches!(id, Value::Null | Value::Int(_) | Value::Big(_) | Value::Float(_) | Value::String(_))) {
        return Err(NO_MESSAGE);
    }
    match (members.remove("method"), members.remove("result"), members.remove("error"), id) {
        (Some(Value::String(method)), None, None, id) => {
            let params = members.remove("params").unwrap_or_default();
            if !matches!(params, Value::Object(_) | Value::Array(_) | Value::Null) {
                return Err(NO_MESSAGE);
            }
            Ok(Incoming::Message(Message { id, method, params, blobs, lone_surrogate }))
        }
        (None, Some(mut result), None, Some(id)) => {
            let refused = |kind: &str, message: String| Err(Failure { message, data: Value::Object(Object::from([("type".into(), kind.into())])) });
            let answer = match place(&mut result, blobs) {
                _ if lone_surrogate => refused("invalid_result", LONE.into()),
                Ok(()) => Ok(result),
                Err(why) => refused("protocol", why),
            };
            Ok(Incoming::Answer(id, answer))
        }
        (None, None, Some(Value::Object(mut error)), Some(id)) => {
            let message = error.get("message").and_then(Value::as_str).unwrap_or_default().to_string();
            Ok(Incoming::Answer(id, Err(Failure { message, data: error.remove("data").unwrap_or_default() })))
        }
        _ => Err(NO_MESSAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::from_base64;

    // spec/vectors of the repository; the SDK's own folder is installed without them.
    fn vectors(name: &str) -> Option<Value> {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../spec/vectors").join(name);
        let text = std::fs::read_to_string(file).ok()?;
        Some(json::parse(&text).expect("vectors are JSON"))
    }

    #[test]
    fn messages_are_told_apart_as_the_vectors_say() {
        let Some(all) = vectors("messages.json") else { return };
        let mut seen = 0;
        for one in all["vectors"].as_array().unwrap() {
            let text = match one["bytes"].as_str() {
                Some(bytes) => from_base64(bytes).unwrap(),
                None => one["text"].as_str().unwrap().as_bytes().to_vec(),
            };
            let got = match parse(&text, Vec::new()) {
                Ok(Incoming::Message(message)) => (if message.id.is_some() { "request" } else { "notification" }).to_string(),
                Ok(Incoming::Answer(..)) => "response".to_string(),
                Err((code, _)) => code.to_string(),
            };
            let wanted = one["kind"].as_str().map_or_else(|| one["error"].to_string(), str::to_string);
            assert_eq!(got, wanted, "{one}");
            seen += 1;
        }
        assert!(seen > 20);
    }

    #[test]
    fn blobs_go_where_the_vectors_say() {
        let Some(all) = vectors("blobs.json") else { return };
        for one in all["vectors"].as_array().unwrap() {
            let blobs = one["blobs"].as_array().unwrap().iter().map(|blob| from_base64(blob.as_str().unwrap()).unwrap()).collect();
            let mut params = one["params"].clone();
            match (place(&mut params, blobs), one.get("placed")) {
                (Ok(()), Some(placed)) => assert_eq!(params.to_string(), placed.to_string(), "{one}"),
                (Err(_), None) => {}
                (got, _) => panic!("{got:?}: {one}"),
            }
        }
    }

    #[test]
    fn heads_that_break_the_rules_are_refused() {
        for text in ["\n", "x\n", "01\n", "1 \n", "70000000\n", "-1\n", "+1\n", " 1\n"] {
            assert!(head(&mut text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(head(&mut "1 ".repeat(1030).as_bytes()).unwrap().is_none());
        assert!(head(&mut format!("{}1\n", "1 ".repeat(1030)).as_bytes()).is_err());
        assert!(head(&mut "9".repeat(LONGEST_HEAD + 9).as_bytes()).is_err());
        assert_eq!(head(&mut "12 3\n".as_bytes()).unwrap(), Some(vec![12, 3]));
    }
}
