//! JSON text into values and back, exact and bounded.

use crate::value::{to_base64, Object, Value};

const DEEPEST: usize = 500;

/// Errors: what is wrong, and at which byte.
pub fn parse(text: &str) -> Result<Value, String> {
    parse_leniently(text).map(|(value, _)| value)
}

/// A value, and whether a string of it had a lone surrogate, which no Rust string can hold: U+FFFD stands in its place.
pub fn parse_leniently(text: &str) -> Result<(Value, bool), String> {
    let mut parser = Parser { text, at: 0, lone: false };
    parser.blanks();
    let value = parser.value(0)?;
    parser.blanks();
    if parser.at != text.len() {
        return Err(parser.wrong("more follows the value"));
    }
    Ok((value, parser.lone))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    lone: bool,
}

impl Parser<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("{what}, at byte {}", self.at)
    }

    fn peek(&self) -> u8 {
        *self.text.as_bytes().get(self.at).unwrap_or(&0)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.wrong("no JSON value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err(self.wrong("nested too deep"));
        }
        match self.peek() {
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'"' => self.string().map(Value::String),
            b'-' | b'0'..=b'9' => self.number(),
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                self.blanks();
                if self.peek() == b']' {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                loop {
                    self.blanks();
                    items.push(self.value(depth + 1)?);
                    if self.ends(b']')? {
                        return Ok(Value::Array(items));
                    }
                }
            }
            b'{' => {
                self.at += 1;
                let mut members = Object::new();
                self.blanks();
                if self.peek() == b'}' {
                    self.at += 1;
                    return Ok(Value::Object(members));
                }
                loop {
                    self.blanks();
                    if self.peek() != b'"' {
                        return Err(self.wrong("a member's name is missing"));
                    }
                    let name = self.string()?;
                    self.blanks();
                    if self.peek() != b':' {
                        return Err(self.wrong("':' is missing"));
                    }
                    self.at += 1;
                    self.blanks();
                    members.insert(name, self.value(depth + 1)?);
                    if self.ends(b'}')? {
                        return Ok(Value::Object(members));
                    }
                }
            }
            _ => Err(self.wrong("no JSON value")),
        }
    }

    fn ends(&mut self, close: u8) -> Result<bool, String> {
        self.blanks();
        let found = self.peek();
        if found != close && found != b',' {
            return Err(self.wrong("',' is missing"));
        }
        self.at += 1;
        Ok(found == close)
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        let digits = |parser: &mut Self| {
            let from = parser.at;
            while parser.peek().is_ascii_digit() {
                parser.at += 1;
            }
            parser.at > from
        };
        let first = self.at;
        if !digits(self) || (self.text.as_bytes()[first] == b'0' && self.at > first + 1) {
            return Err(self.wrong("a malformed number"));
        }
        let mut whole = true;
        if self.peek() == b'.' {
            whole = false;
            self.at += 1;
            if !digits(self) {
                return Err(self.wrong("a malformed number"));
            }
        }
        if matches!(self.peek(), b'e' | b'E') {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            if !digits(self) {
                return Err(self.wrong("a malformed number"));
            }
        }
        let text = &self.text[start..self.at];
        if whole {
            return Ok(match text.parse::<i64>() {
                Ok(0) if text.starts_with('-') => Value::Float(-0.0),
                Ok(value) => Value::Int(value),
                Err(_) => Value::Big(text.into()),
            });
        }
        Ok(match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Value::Float(value),
            _ => Value::Big(text.into()),
        })
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
            out.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => {
                    self.at += 1;
                    let escaped = self.peek();
                    self.at += 1;
                    out.push(match escaped {
                        b'"' | b'\\' | b'/' => char::from(escaped),
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => {
                            let first = self.unit()?;
                            let mut code = u32::from(first);
                            if (0xd800..0xdc00).contains(&first) && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
                                let back = self.at;
                                self.at += 2;
                                let second = self.unit()?;
                                if (0xdc00..0xe000).contains(&second) {
                                    code = 0x10000 + ((u32::from(first) - 0xd800) << 10) + (u32::from(second) - 0xdc00);
                                } else {
                                    self.at = back;
                                }
                            }
                            char::from_u32(code).unwrap_or_else(|| {
                                self.lone = true;
                                '\u{fffd}'
                            })
                        }
                        _ => return Err(self.wrong("an unknown escape")),
                    });
                }
                _ => return Err(self.wrong("a string without its end")),
            }
        }
    }

    fn unit(&mut self) -> Result<u16, String> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return Err(self.wrong("a malformed \\u")) };
        self.at += 4;
        Ok(digits.iter().fold(0, |code, digit| code << 4 | char::from(*digit).to_digit(16).unwrap_or(0) as u16))
    }
}

pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => out.push_str(&format!("\\u{byte:04x}")),
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// A finite number as its shortest exact text, which keeps it a float: 3.0.
pub fn write_float(out: &mut String, value: f64) {
    out.push_str(&format!("{value:?}"));
}

pub fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Big(digits) => out.push_str(digits),
        Value::Float(value) if !value.is_finite() => out.push_str("null"),
        Value::Float(value) => write_float(out, *value),
        Value::String(text) => write_string(out, text),
        Value::Bytes(bytes) => write_string(out, &to_base64(bytes)),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, item)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, name);
                out.push(':');
                write(out, item);
            }
            out.push('}');
        }
    }
}
