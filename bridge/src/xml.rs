//! Reads XML as services answer with it: elements and text. Entities of the document's own are never expanded.

use crate::{guard, message_json, write_out, Buf, Str};
use quick_xml::events::Event;
use quick_xml::Reader;
use serde_json::{json, Value};

const MOST_ELEMENTS: usize = 200_000;
const MOST_DEPTH: usize = 64;

struct Open {
    name: String,
    text: String,
    children: Vec<Value>,
}

impl Open {
    fn close(self) -> Value {
        let text = if self.children.is_empty() { self.text.as_str() } else { self.text.trim() };
        json!({ "n": self.name, "t": text, "c": self.children })
    }
}

fn read(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not valid UTF-8 at byte {}", error.valid_up_to()))?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Value> = None;
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(|error| format!("at byte {}: {error}", reader.buffer_position()))?;
        let empty = matches!(event, Event::Empty(_));
        let closed = match event {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                elements += 1;
                if elements > MOST_ELEMENTS {
                    return Err(format!("more than {MOST_ELEMENTS} elements"));
                }
                if open.len() >= MOST_DEPTH {
                    return Err(format!("more than {MOST_DEPTH} elements inside each other"));
                }
                if root.is_some() {
                    return Err("it has more than one root".into());
                }
                let name = String::from_utf8_lossy(element.local_name().as_ref()).into_owned();
                open.push(Open { name, text: String::new(), children: Vec::new() });
                empty
            }
            Event::End(_) => true,
            Event::Text(piece) => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(&piece.decode().map_err(|error| error.to_string())?);
                }
                false
            }
            Event::CData(piece) => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(&String::from_utf8_lossy(&piece));
                }
                false
            }
            Event::GeneralRef(reference) => {
                if let Some(last) = open.last_mut() {
                    let name = reference.decode().map_err(|error| error.to_string())?;
                    match reference.resolve_char_ref() {
                        Ok(Some(c)) => last.text.push(c),
                        _ => last.text.push_str(quick_xml::escape::resolve_predefined_entity(&name).unwrap_or("?")),
                    }
                }
                false
            }
            _ => false,
        };
        if closed {
            let whole = open.pop().ok_or("an element ends that was not begun")?.close();
            match open.last_mut() {
                Some(parent) => parent.children.push(whole),
                None => root = Some(whole),
            }
        }
    }
    if !open.is_empty() {
        return Err("it ends in the middle of an element".into());
    }
    root.ok_or_else(|| "it is empty".into())
}

/// # Safety
/// `bytes` is readable; `out` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_xml_read(bytes: Str, out: *mut Buf) -> i32 {
    let (code, text) = match guard(|| read(unsafe { bytes.bytes() })) {
        Ok(Ok(value)) => (0, value.to_string()),
        Ok(Err(message)) | Err(message) => (1, message_json(&message)),
    };
    unsafe { write_out(out, text) };
    code
}
