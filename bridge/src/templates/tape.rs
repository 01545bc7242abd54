//! JSON as the row of its values, whose texts are slices of it: for templates that are rendered directly (direct.rs). What it reads means
//! what it means in values.rs; what is rare, or wrong, it leaves to that by reading nothing.

use memchr::memchr2;

/// As serde_json, which goes 128 levels deep.
const DEEPEST: usize = 100;
/// 2 to the 63rd: what is larger may be an integer that serde_json does not know (exact.rs).
const LARGE: f64 = 9_223_372_036_854_775_808.0;

/// A value; those within it follow it, in a dict each after its key.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    None,
    Bool(bool),
    Int(i64),
    Natural(u64),
    Float(f64),
    Text(&'a str),
    /// A text that was escaped, in `Tape::unescaped`.
    Unescaped(usize, usize),
    List { count: usize, end: usize },
    Dict { count: usize, end: usize },
}

#[derive(Default)]
pub struct Tape<'a> {
    entries: Vec<Entry<'a>>,
    unescaped: String,
}

impl<'a> Tape<'a> {
    /// With room for the values of so many bytes of JSON.
    pub fn with_room(bytes: usize) -> Self {
        Tape { entries: Vec::with_capacity(bytes / 32 + 16), unescaped: String::new() }
    }

    /// Where the object begins that `json` is.
    pub fn read(&mut self, json: &'a [u8]) -> Option<usize> {
        let root = self.entries.len();
        let mut reader = Reader { tape: self, text: std::str::from_utf8(json).ok()?, bytes: json, at: 0, has_controls: has_controls(json) };
        let first = reader.next();
        reader.value(first, DEEPEST)?;
        reader.blanks();
        (reader.at == json.len() && matches!(self.entries[root], Entry::Dict { .. })).then_some(root)
    }

    pub fn at(&self, at: usize) -> Entry<'a> {
        self.entries[at]
    }

    pub fn text(&self, entry: Entry<'a>) -> Option<&str> {
        match entry {
            Entry::Text(text) => Some(text),
            Entry::Unescaped(from, to) => self.unescaped.get(from..to),
            _ => None,
        }
    }

    /// Where the value after the one at `at` begins.
    pub fn after(&self, at: usize) -> usize {
        match self.entries[at] {
            Entry::List { end, .. } | Entry::Dict { end, .. } => end,
            _ => at + 1,
        }
    }

    /// The member of the dict at `at`: the last, where there are several of that name.
    pub fn member(&self, at: usize, name: &str) -> Option<usize> {
        let Entry::Dict { end, .. } = self.entries[at] else { return None };
        let mut found = None;
        let mut key = at + 1;
        while key < end {
            if self.text(self.entries[key]) == Some(name) {
                found = Some(key + 1);
            }
            key = self.after(key + 1);
        }
        found
    }
}

struct Reader<'t, 'a> {
    tape: &'t mut Tape<'a>,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Somewhere, as between the values of JSON that was written for people.
    has_controls: bool,
}

/// Whether there is what no string may contain unescaped.
fn has_controls(bytes: &[u8]) -> bool {
    bytes.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20
}

impl<'a> Reader<'_, 'a> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// The next byte that is no blank, which is read; 0 at the end.
    fn next(&mut self) -> u8 {
        self.blanks();
        let byte = self.peek();
        self.at += 1;
        byte
    }

    /// The value whose first byte is read.
    fn value(&mut self, first: u8, depth: usize) -> Option<()> {
        let entry = match first {
            b'"' => self.string()?,
            b'{' | b'[' => return self.nested(first == b'{', depth.checked_sub(1)?),
            b't' => self.word("rue", Entry::Bool(true))?,
            b'f' => self.word("alse", Entry::Bool(false))?,
            b'n' => self.word("ull", Entry::None)?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return None,
        };
        self.tape.entries.push(entry);
        Some(())
    }

    fn nested(&mut self, is_dict: bool, depth: usize) -> Option<()> {
        let start = self.tape.entries.len();
        self.tape.entries.push(Entry::None);
        let close = if is_dict { b'}' } else { b']' };
        let mut count = 0;
        let mut byte = self.next();
        while byte != close || count > 0 {
            if is_dict {
                if byte != b'"' {
                    return None;
                }
                let key = self.string()?;
                self.tape.entries.push(key);
                if self.next() != b':' {
                    return None;
                }
                byte = self.next();
            }
            self.value(byte, depth)?;
            count += 1;
            match self.next() {
                b',' => byte = self.next(),
                end if end == close => break,
                _ => return None,
            }
        }
        let end = self.tape.entries.len();
        self.tape.entries[start] = if is_dict { Entry::Dict { count, end } } else { Entry::List { count, end } };
        Some(())
    }

    fn word(&mut self, rest: &str, entry: Entry<'a>) -> Option<Entry<'a>> {
        let is_there = self.bytes.get(self.at..)?.starts_with(rest.as_bytes());
        self.at += rest.len();
        is_there.then_some(entry)
    }

    fn number(&mut self) -> Option<Entry<'a>> {
        let start = self.at - 1;
        let mut is_whole = true;
        while let byte @ (b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.peek() {
            is_whole &= byte.is_ascii_digit();
            self.at += 1;
        }
        let number = self.text.get(start..self.at)?;
        if !is_whole {
            let float: f64 = serde_json::from_str(number).ok()?;
            return (float.abs() < LARGE).then_some(Entry::Float(float));
        }
        // -0 is a float.
        if number == "-0" || (number.trim_start_matches('-').starts_with('0') && number != "0") {
            return None;
        }
        number.parse().map(Entry::Int).ok().or_else(|| number.parse().map(Entry::Natural).ok())
    }

    /// The string whose first quote is read.
    fn string(&mut self) -> Option<Entry<'a>> {
        let start = self.at;
        let mut is_plain = true;
        loop {
            let rest = self.bytes.get(self.at..)?;
            let end = memchr2(b'"', b'\\', rest)?;
            self.at += end + 1;
            if rest[end] == b'"' {
                break;
            }
            self.at += 1;
            is_plain = false;
        }
        if self.has_controls && has_controls(&self.bytes[start..self.at]) {
            return None;
        }
        if is_plain {
            return self.text.get(start..self.at - 1).map(Entry::Text);
        }
        let unescaped: String = serde_json::from_str(self.text.get(start - 1..self.at)?).ok()?;
        let from = self.tape.unescaped.len();
        self.tape.unescaped.push_str(&unescaped);
        Some(Entry::Unescaped(from, self.tape.unescaped.len()))
    }
}
