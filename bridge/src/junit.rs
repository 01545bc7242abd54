//! Reads JUnit XML as the many runners write it. Entities of the document's own are never expanded.

use crate::{guard, message_json, write_out, Buf, Str};
use quick_xml::events::{BytesStart, Event};
use quick_xml::Reader;
use serde_json::{json, Map, Value};

const MOST_CASES: usize = 100_000;
const MOST_DEPTH: usize = 64;
const MOST_TEXT: usize = 20_000;

fn attribute(element: &BytesStart, name: &str) -> String {
    element
        .attributes()
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name.as_bytes())
        .and_then(|attribute| attribute.unescape_value().ok().map(|value| value.into_owned()))
        .unwrap_or_default()
}

fn push(text: &mut String, more: &str) {
    for c in more.chars() {
        if text.len() + c.len_utf8() > MOST_TEXT {
            return;
        }
        text.push(c);
    }
}

fn bounded(text: &str) -> String {
    let mut out = String::new();
    push(&mut out, text);
    out
}

/// One test while its element is open.
struct Open {
    members: Map<String, Value>,
    text: String,
    depth: usize,
}

fn read(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not valid UTF-8 at byte {}", error.valid_up_to()))?;
    let mut reader = Reader::from_str(text);
    let mut cases: Vec<Value> = Vec::new();
    let mut files: Vec<String> = Vec::new(); // what each open element said its file is
    let mut open: Option<Open> = None;
    let mut in_outcome = 0; // depth of the <failure>, <error> or <skipped> that text belongs to
    let mut seen_root = false;
    loop {
        let event = reader.read_event().map_err(|error| format!("at byte {}: {error}", reader.buffer_position()))?;
        let empty = matches!(event, Event::Empty(_));
        match event {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                let name = String::from_utf8_lossy(element.local_name().as_ref()).into_owned();
                if !seen_root && name != "testsuites" && name != "testsuite" {
                    return Err(format!("the document is <{name}>, not <testsuites> or <testsuite>"));
                }
                seen_root = true;
                let depth = files.len() + 1;
                if depth > MOST_DEPTH {
                    return Err(format!("more than {MOST_DEPTH} elements inside each other"));
                }
                let file = match attribute(&element, "file") {
                    own if own.is_empty() => files.last().cloned().unwrap_or_default(),
                    own => own,
                };
                match name.as_str() {
                    "testcase" if open.is_none() => {
                        if cases.len() >= MOST_CASES {
                            return Err(format!("more than {MOST_CASES} tests"));
                        }
                        let mut members = Map::new();
                        for key in ["name", "classname"] {
                            members.insert(key.into(), json!(bounded(&attribute(&element, key))));
                        }
                        members.insert("file".into(), json!(file));
                        members.insert("line".into(), json!(attribute(&element, "line").trim().parse::<u32>().unwrap_or(0)));
                        let time = attribute(&element, "time").replace(',', "").trim().parse::<f64>().unwrap_or(0.0);
                        members.insert("time".into(), json!(if time.is_finite() && time >= 0.0 { time } else { 0.0 }));
                        members.insert("outcome".into(), json!("passed"));
                        members.insert("message".into(), json!(""));
                        open = Some(Open { members, text: String::new(), depth });
                        if empty {
                            cases.extend(open.take().map(|case| Value::Object(case.members)));
                        }
                    }
                    "failure" | "error" | "skipped" => {
                        let message = bounded(&attribute(&element, "message"));
                        let outcome = if name == "skipped" { "skipped" } else { "failed" };
                        if let Some(case) = &mut open {
                            // A test that failed twice, or failed and was skipped, failed; the first reason stands.
                            if case.members["outcome"] != "failed" {
                                case.members["outcome"] = json!(outcome);
                                case.members["message"] = json!(message);
                            }
                            in_outcome = if empty { in_outcome } else { depth };
                        } else if name != "skipped" {
                            // A suite that could not even start.
                            let mut members = Map::new();
                            members.insert("name".into(), json!("the suite"));
                            members.insert("file".into(), json!(file));
                            members.insert("outcome".into(), json!("failed"));
                            members.insert("message".into(), json!(message));
                            open = Some(Open { members, text: String::new(), depth });
                            in_outcome = depth;
                            if empty {
                                cases.extend(open.take().map(|case| Value::Object(case.members)));
                                in_outcome = 0;
                            }
                        }
                    }
                    _ => {}
                }
                if !empty {
                    files.push(file);
                }
            }
            Event::End(_) => {
                let depth = files.len();
                files.pop();
                if depth == in_outcome {
                    in_outcome = 0;
                }
                if open.as_ref().is_some_and(|case| case.depth == depth) {
                    if let Some(mut case) = open.take() {
                        case.members.insert("text".into(), json!(case.text));
                        cases.push(Value::Object(case.members));
                    }
                }
            }
            Event::Text(piece) => {
                if let (Some(case), true) = (&mut open, in_outcome > 0) {
                    let piece = piece.decode().map_err(|error| error.to_string())?;
                    push(&mut case.text, &piece);
                }
            }
            Event::CData(piece) => {
                if let (Some(case), true) = (&mut open, in_outcome > 0) {
                    push(&mut case.text, &String::from_utf8_lossy(&piece));
                }
            }
            Event::GeneralRef(reference) => {
                if let (Some(case), true) = (&mut open, in_outcome > 0) {
                    let name = reference.decode().map_err(|error| error.to_string())?;
                    match reference.resolve_char_ref() {
                        Ok(Some(c)) => push(&mut case.text, c.encode_utf8(&mut [0; 4])),
                        _ => push(&mut case.text, quick_xml::escape::resolve_predefined_entity(&name).unwrap_or("?")),
                    }
                }
            }
            _ => {}
        }
    }
    if !seen_root {
        return Err("it is empty".into());
    }
    if !files.is_empty() {
        return Err("it ends in the middle of an element".into());
    }
    Ok(json!({ "cases": cases }))
}

/// # Safety
/// `bytes` is readable; `out` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_junit_read(bytes: Str, out: *mut Buf) -> i32 {
    let (code, text) = match guard(|| read(unsafe { bytes.bytes() })) {
        Ok(Ok(value)) => (0, value.to_string()),
        Ok(Err(message)) | Err(message) => (1, message_json(&message)),
    };
    unsafe { write_out(out, text) };
    code
}
