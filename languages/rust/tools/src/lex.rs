//! Rust source as trees of tokens, which is all that items and types need of the language.

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Ident(String),
    Lifetime,
    Text(String),
    /// Integers and floats as written, without their suffix and `_`.
    Number(String),
    Char(char),
    /// b"…", c"…" and the like, whose value nothing here needs.
    OtherLiteral,
    Punct(char),
    /// By its opening bracket.
    Group(char, Vec<Token>),
    /// `///` and `/** */`.
    Doc(String),
    /// `//!` and `/*! */`.
    InnerDoc(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    pub line: u32,
    pub column: u32,
}

impl Token {
    pub fn ident(&self) -> Option<&str> {
        if let Kind::Ident(name) = &self.kind { Some(name) } else { None }
    }
    pub fn is(&self, punct: char) -> bool {
        self.kind == Kind::Punct(punct)
    }
    pub fn is_word(&self, word: &str) -> bool {
        self.ident() == Some(word)
    }
    pub fn group(&self, open: char) -> Option<&[Token]> {
        match &self.kind {
            Kind::Group(own, tokens) if *own == open => Some(tokens),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    pub message: String,
    pub line: u32,
    pub column: u32,
}

const DEEPEST: usize = 200;

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

pub fn lex(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, line: 1, line_start: 0 };
    if text.starts_with('\u{feff}') {
        lexer.at = 3;
    }
    if text.starts_with("#!") && !text.starts_with("#![") {
        lexer.to_line_end();
    }
    let tokens = lexer.trees(None, 0)?;
    Ok(tokens)
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        *self.bytes.get(self.at + ahead).unwrap_or(&0)
    }
    fn here(&self) -> (u32, u32) {
        (self.line, self.text[self.line_start..self.at.min(self.text.len())].chars().count() as u32 + 1)
    }
    fn wrong<T>(&self, message: impl Into<String>, at: (u32, u32)) -> Result<T, Wrong> {
        Err(Wrong { message: message.into(), line: at.0, column: at.1 })
    }
    fn to_line_end(&mut self) {
        while self.at < self.bytes.len() && self.peek(0) != b'\n' {
            self.at += 1;
        }
    }
    fn newlines(&mut self, from: usize) {
        for (index, byte) in self.bytes[from..self.at].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = from + index + 1;
            }
        }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
            if self.bytes[self.at - 1] == b'\n' {
                self.line += 1;
                self.line_start = self.at;
            }
        }
    }

    fn trees(&mut self, close: Option<(char, char, (u32, u32))>, depth: usize) -> Result<Vec<Token>, Wrong> {
        let mut out = Vec::new();
        loop {
            self.blanks();
            let (start, (line, column)) = (self.at, self.here());
            let put = |out: &mut Vec<Token>, kind: Kind, end: usize| out.push(Token { kind, start, end, line, column });
            if self.at >= self.bytes.len() {
                return match close {
                    Some((open, _, at)) => self.wrong(format!("this '{open}' is never closed"), at),
                    None => Ok(out),
                };
            }
            let c = self.text[self.at..].chars().next().unwrap_or(' ');
            match c {
                c if c.is_whitespace() => self.at += c.len_utf8(),
                '/' if self.peek(1) == b'/' => {
                    self.to_line_end();
                    let text = &self.text[start..self.at];
                    let text = text.strip_suffix('\r').unwrap_or(text);
                    if let Some(doc) = text.strip_prefix("//!") {
                        put(&mut out, Kind::InnerDoc(doc.into()), self.at);
                    } else if let Some(doc) = text.strip_prefix("///").filter(|doc| !doc.starts_with('/')) {
                        put(&mut out, Kind::Doc(doc.into()), self.at);
                    }
                }
                '/' if self.peek(1) == b'*' => {
                    let mut open = 0;
                    loop {
                        if self.at >= self.bytes.len() {
                            return self.wrong("this comment is never closed", (line, column));
                        }
                        if self.bytes[self.at..].starts_with(b"/*") {
                            open += 1;
                            self.at += 2;
                        } else if self.bytes[self.at..].starts_with(b"*/") {
                            open -= 1;
                            self.at += 2;
                            if open == 0 {
                                break;
                            }
                        } else {
                            self.at += 1;
                        }
                    }
                    let text = &self.text[start..self.at];
                    self.newlines(start);
                    if text.len() >= 5 {
                        let inside = text[3..].strip_suffix("*/").unwrap_or("");
                        if text.starts_with("/*!") {
                            put(&mut out, Kind::InnerDoc(block(inside)), self.at);
                        } else if text.starts_with("/**") && !text.starts_with("/***") {
                            put(&mut out, Kind::Doc(block(inside)), self.at);
                        }
                    }
                }
                '(' | '[' | '{' => {
                    if depth > DEEPEST {
                        return self.wrong("brackets are nested too deep", (line, column));
                    }
                    self.at += 1;
                    let closing = match c {
                        '(' => ')',
                        '[' => ']',
                        _ => '}',
                    };
                    let inside = self.trees(Some((c, closing, (line, column))), depth + 1)?;
                    put(&mut out, Kind::Group(c, inside), self.at);
                }
                ')' | ']' | '}' => match close {
                    Some((_, closing, _)) if closing == c => {
                        self.at += 1;
                        return Ok(out);
                    }
                    Some((open, closing, at)) => return self.wrong(format!("'{c}', where the '{open}' of line {} needs its '{closing}'", at.0), (line, column)),
                    None => return self.wrong(format!("'{c}' closes nothing"), (line, column)),
                },
                '\'' => {
                    let kind = self.quote((line, column))?;
                    put(&mut out, kind, self.at);
                }
                '"' => {
                    let text = self.string((line, column))?;
                    put(&mut out, Kind::Text(text), self.at);
                }
                '0'..='9' => {
                    let text = self.number();
                    put(&mut out, Kind::Number(text), self.at);
                }
                c if c == '_' || c.is_alphabetic() => {
                    let kind = self.word((line, column))?;
                    put(&mut out, kind, self.at);
                }
                c => {
                    self.at += c.len_utf8();
                    put(&mut out, Kind::Punct(c), self.at);
                }
            }
        }
    }

    fn name_end(&self, from: usize) -> usize {
        self.text[from..].find(|c: char| c != '_' && !c.is_alphanumeric()).map_or(self.text.len(), |length| from + length)
    }

    fn word(&mut self, at: (u32, u32)) -> Result<Kind, Wrong> {
        let start = self.at;
        let end = self.name_end(start);
        let name = &self.text[start..end];
        let after = self.bytes.get(end).copied().unwrap_or(0);
        match (name, after) {
            ("r", b'#') if self.text[end + 1..].starts_with(|c: char| c == '_' || c.is_alphabetic()) => {
                self.at = self.name_end(end + 1);
                Ok(Kind::Ident(self.text[end + 1..self.at].into()))
            }
            ("r" | "br" | "cr", b'"' | b'#') => {
                let hashes = self.bytes[end..].iter().take_while(|byte| **byte == b'#').count();
                if self.bytes.get(end + hashes) != Some(&b'"') {
                    self.at = end;
                    return Ok(Kind::Ident(name.into()));
                }
                let from = end + hashes + 1;
                let closing = format!("\"{}", "#".repeat(hashes));
                let Some(length) = self.text[from..].find(&closing) else { return self.wrong("this string is never closed", at) };
                self.at = from + length + closing.len();
                self.newlines(start);
                Ok(if name == "r" { Kind::Text(self.text[from..from + length].into()) } else { Kind::OtherLiteral })
            }
            ("b" | "c", b'"') => {
                self.at = end;
                self.string(at)?;
                Ok(Kind::OtherLiteral)
            }
            ("b", b'\'') => {
                self.at = end;
                self.quote(at)?;
                Ok(Kind::OtherLiteral)
            }
            _ => {
                self.at = end;
                Ok(Kind::Ident(name.into()))
            }
        }
    }

    // A character or a lifetime.
    fn quote(&mut self, at: (u32, u32)) -> Result<Kind, Wrong> {
        let rest = &self.text[self.at + 1..];
        let mut chars = rest.chars();
        let first = chars.next().unwrap_or(' ');
        if first == '\\' {
            // An escaped quote is its own second character.
            let second = 1 + chars.next().map_or(0, char::len_utf8);
            let Some(length) = rest[second..].find('\'') else { return self.wrong("this character is never closed", at) };
            let text = &rest[..second + length];
            self.at += 1 + text.len() + 1;
            return Ok(Kind::Char(unescape(text).chars().next().unwrap_or(' ')));
        }
        if chars.next() == Some('\'') {
            self.at += 1 + first.len_utf8() + 1;
            return Ok(Kind::Char(first));
        }
        if first == '_' || first.is_alphabetic() {
            self.at = self.name_end(self.at + 1);
            return Ok(Kind::Lifetime);
        }
        self.wrong("a quote that is neither a character nor a lifetime", at)
    }

    fn string(&mut self, at: (u32, u32)) -> Result<String, Wrong> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                None => return self.wrong("this string is never closed", at),
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        let text = unescape(self.text.get(start + 1..self.at).unwrap_or_default());
        self.at += 1;
        self.newlines(start);
        Ok(text)
    }

    fn number(&mut self) -> String {
        let start = self.at;
        let radix = matches!((self.peek(0), self.peek(1)), (b'0', b'x' | b'o' | b'b'));
        self.at = self.name_end(start);
        // 1.5, but not 1..5 and not 1.max(2).
        if !radix && self.peek(0) == b'.' && self.peek(1) != b'.' && !(self.peek(1) == b'_' || self.peek(1).is_ascii_alphabetic()) {
            self.at += 1;
            self.at = self.name_end(self.at);
        }
        if !radix && matches!(self.bytes[self.at - 1], b'e' | b'E') && matches!(self.peek(0), b'+' | b'-') {
            self.at += 1;
            self.at = self.name_end(self.at);
        }
        let mut text = self.text[start..self.at].replace('_', "");
        for suffix in ["i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize", "f32", "f64"] {
            if let Some(plain) = text.strip_suffix(suffix).filter(|_| !(radix && suffix.starts_with('f'))) {
                text = plain.into();
                break;
            }
        }
        text
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else { break };
        rest = &rest[c.len_utf8()..];
        match c {
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            '0' => out.push('\0'),
            'x' => {
                let digits = rest.get(..2).unwrap_or_default();
                out.push(u8::from_str_radix(digits, 16).map_or('?', char::from));
                rest = rest.get(2..).unwrap_or_default();
            }
            'u' => {
                let end = rest.find('}').unwrap_or(rest.len());
                let digits = rest[..end].trim_start_matches('{').replace('_', "");
                out.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            '\n' | '\r' => rest = rest.trim_start(),
            other => out.push(other),
        }
    }
    out.push_str(rest);
    out
}

// The text of a block comment without the stars that begin its lines.
fn block(inside: &str) -> String {
    let lines: Vec<&str> = inside.lines().map(|line| {
        let trimmed = line.trim_start();
        trimmed.strip_prefix('*').unwrap_or(line)
    }).collect();
    lines.join("\n")
}
