//! JSON with integers that 64 bits do not hold, which serde_json reads as floats.

use super::entries::Entries;
use super::operators::int_value;
use super::values::{Dict, List};
use minijinja::Value;

/// Reads what serde_json has accepted already, so that its depth is bounded and its grammar right.
pub fn parse(text: &str) -> Result<Value, String> {
    Reader { text, at: 0 }.value()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(b']')
    }

    /// What stands up to the end of a string, a number or a word.
    fn token(&mut self) -> &'a str {
        let (start, bytes) = (self.at, self.text.as_bytes());
        if self.peek() == b'"' {
            self.at += 1;
            while bytes.get(self.at).is_some_and(|byte| *byte != b'"') {
                self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
            }
            self.at += 1;
        } else {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
            while bytes.get(self.at).is_some_and(is_part) {
                self.at += 1;
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Members or items up to `close`, each read by `one`.
    fn each(&mut self, close: u8, mut one: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        self.at += 1;
        while self.peek() != close {
            one(self)?;
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        serde_json::from_str(self.token()).map_err(|error| error.to_string())
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.peek() {
            b'{' => {
                let mut entries = Entries::with_capacity(0);
                self.each(b'}', |reader| {
                    reader.peek();
                    let name = reader.string()?;
                    reader.peek();
                    reader.at += 1;
                    entries.insert(Value::from(name), reader.value()?);
                    Ok(())
                })?;
                Ok(Dict::value(entries))
            }
            b'[' => {
                let mut items = Vec::new();
                self.each(b']', |reader| reader.value().map(|item| items.push(item)))?;
                Ok(List::value(items))
            }
            b'"' => self.string().map(Value::from),
            _ => match self.token() {
                "null" => Ok(Value::from(())),
                "true" => Ok(Value::from(true)),
                "false" => Ok(Value::from(false)),
                number if number.contains(['.', 'e', 'E']) => number.parse::<f64>().map(Value::from).map_err(|error| error.to_string()),
                number => number.parse::<i128>().map(int_value).map_err(|_| format!("the integer {number} has more than 128 bits")),
            },
        }
    }
}
