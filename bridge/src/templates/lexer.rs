//! A template's text to tokens, by Jinja2's rules of delimiters, white space and line statements.

use super::syntax::{Problem, Syntax};

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// Text outside of tags, white space already trimmed: its place is the token's.
    Data,
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Str(String),
    Int(i128),
    Float(f64),
    Op(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub struct Placed {
    pub token: Token,
    pub start: usize,
    pub end: usize,
}

// The longer ones first: the first that matches is meant.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|",
    ",", ";",
];

const MAX_OPEN: usize = 100;

#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Print,
    Block,
    Comment,
    LineStatement,
    LineComment,
    Raw,
}

pub struct Lexer<'a> {
    text: &'a str,
    syntax: &'a Syntax,
    at: usize,
    tokens: Vec<Placed>,
    // The text before `at` ends a line, or nothing is before it.
    line_starts: bool,
    // Where `{{`, `{#` and `{%` are next, so that each byte is searched once.
    ahead: [Option<usize>; 3],
}

fn is_blank(c: char) -> bool {
    c.is_whitespace()
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric() || unicode_ident::is_xid_continue(c)
}

pub fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c)) && chars.all(unicode_ident::is_xid_continue)
}

/// `text` with every line end as `\n`, and without the last one unless it is to be kept.
pub fn with_plain_newlines(text: &str, keep_trailing_newline: bool) -> String {
    let mut text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_string() };
    if !keep_trailing_newline && text.ends_with('\n') {
        text.pop();
    }
    text
}

pub fn tokens_of(text: &str, syntax: &Syntax) -> Result<Vec<Placed>, Problem> {
    let mut lexer = Lexer { text, syntax, at: 0, tokens: Vec::new(), line_starts: true, ahead: [Some(0); 3] };
    for index in 0..3 {
        lexer.look_ahead(index);
    }
    lexer.run()?;
    lexer.push(Token::End, text.len(), text.len());
    Ok(lexer.tokens)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token, start: usize, end: usize) {
        self.tokens.push(Placed { token, start, end });
    }

    fn problem<T>(&self, message: impl Into<String>, at: usize) -> Result<T, Problem> {
        Err(Problem::new(message, at))
    }

    fn run(&mut self) -> Result<(), Problem> {
        while self.at < self.text.len() {
            let Some((tag, start, begin)) = self.next_tag() else {
                self.push(Token::Data, self.at, self.text.len());
                self.at = self.text.len();
                break;
            };
            self.data_before(tag, start, begin);
            match tag {
                Tag::Comment => self.comment(start)?,
                Tag::LineComment => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                    self.line_starts = false;
                }
                Tag::Raw => self.raw(start)?,
                Tag::Print => {
                    self.push(Token::PrintBegin, start, self.at);
                    self.inside(Tag::Print)?;
                }
                Tag::Block | Tag::LineStatement => {
                    self.push(Token::BlockBegin, start, self.at);
                    self.inside(tag)?;
                }
            }
        }
        Ok(())
    }

    fn delimiter(&self, index: usize) -> &'a str {
        [&self.syntax.variable_start, &self.syntax.comment_start, &self.syntax.block_start][index]
    }

    fn look_ahead(&mut self, index: usize) {
        self.ahead[index] = self.rest().find(self.delimiter(index)).map(|at| self.at + at);
    }

    /// The tag that begins first from `at`: what it is, where it begins, and where what belongs to its beginning ends.
    fn next_tag(&mut self) -> Option<(Tag, usize, usize)> {
        for index in 0..3 {
            if self.ahead[index].is_some_and(|at| at < self.at) {
                self.look_ahead(index);
            }
        }
        let syntax = self.syntax;
        let mut found: Option<(Tag, usize, usize)> = None;
        let mut take = |tag: Tag, start: usize, end: usize, length: usize, best: &mut usize| {
            // Of those that begin at the same place, the longest delimiter is meant.
            let better = match found {
                None => true,
                Some((_, known, _)) => start < known || (start == known && length > *best),
            };
            if better {
                found = Some((tag, start, end));
                *best = length;
            }
        };
        let mut best = 0;
        for (index, tag) in [Tag::Print, Tag::Comment, Tag::Block].into_iter().enumerate() {
            if let Some(start) = self.ahead[index] {
                let length = self.delimiter(index).len();
                take(tag, start, start + length, length, &mut best);
            }
        }
        if let Some(prefix) = &syntax.line_statement_prefix {
            if let Some((start, end)) = self.line_statement(prefix) {
                take(Tag::LineStatement, start, end, prefix.len(), &mut best);
            }
        }
        if let Some(prefix) = &syntax.line_comment_prefix {
            if let Some((start, end)) = self.line_comment(prefix) {
                take(Tag::LineComment, start, end, prefix.len(), &mut best);
            }
        }
        let (tag, start, end) = found?;
        if tag == Tag::Block {
            if let Some(end) = self.raw_begin(end) {
                return Some((Tag::Raw, start, end));
            }
        }
        Some((tag, start, end))
    }

    /// White space at a line's start and the prefix after it.
    fn line_statement(&self, prefix: &str) -> Option<(usize, usize)> {
        let mut from = self.at;
        while let Some(at) = self.text[from..].find(prefix) {
            let at = from + at;
            let line = self.text[..at].rfind('\n').map_or(0, |at| at + 1);
            let start = line.max(self.at);
            let whole_line = start == line;
            if whole_line && self.text[start..at].chars().all(|c| matches!(c, ' ' | '\t' | '\u{b}')) {
                return Some((start, at + prefix.len()));
            }
            from = at + prefix.len();
        }
        None
    }

    /// White space before the prefix belongs to the comment, where anything else stands on the line or the line begins.
    fn line_comment(&self, prefix: &str) -> Option<(usize, usize)> {
        let at = self.at + self.rest().find(prefix)?;
        let before = &self.text[self.at..at];
        let start = at - (before.len() - before.trim_end_matches(|c: char| is_blank(c) && c != '\n').len());
        Some((start, at + prefix.len()))
    }

    /// The end of `{% raw %}` whose `{%` ends at `from`.
    fn raw_begin(&self, from: usize) -> Option<usize> {
        let rest = &self.text[from..];
        let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start();
        let rest = rest.strip_prefix("raw")?.trim_start();
        let end = self.syntax.block_end.as_str();
        let rest = match rest.strip_prefix('-').and_then(|rest| rest.strip_prefix(end)) {
            Some(rest) => rest.trim_start(),
            None => rest.strip_prefix(end)?,
        };
        Some(self.text.len() - rest.len())
    }

    /// The text from `at` to a tag, trimmed as the tag's sign and `lstrip_blocks` say.
    fn data_before(&mut self, tag: Tag, start: usize, end: usize) {
        let delimiter_end = match tag {
            Tag::Raw => start + self.syntax.block_start.len(),
            _ => end,
        };
        let sign = self.text[delimiter_end..].chars().next().filter(|c| matches!(c, '-' | '+'));
        let sign = if tag == Tag::LineComment { None } else { sign };
        let data_start = self.at;
        let data_end = self.trimmed_end(data_start, start, sign, tag != Tag::Print);
        if data_end > data_start {
            self.push(Token::Data, data_start, data_end);
        }
        self.at = if tag == Tag::Raw { end } else { end + sign.map_or(0, char::len_utf8) };
    }

    fn trimmed_end(&self, start: usize, end: usize, sign: Option<char>, may_strip: bool) -> usize {
        let data = &self.text[start..end];
        if sign == Some('-') {
            return start + data.trim_end_matches(is_blank).len();
        }
        if sign != Some('+') && self.syntax.lstrip_blocks && may_strip {
            let line = data.rfind('\n').map_or(0, |at| at + 1);
            if (line > 0 || self.line_starts) && data[line..].chars().all(is_blank) {
                return start + line;
            }
        }
        end
    }

    /// Goes on after a tag's end; `minus` takes the white space after it, and `trim_blocks` one line end.
    fn after(&mut self, end: usize, minus: bool, plus: bool, trims: bool) {
        self.at = end;
        if minus {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(is_blank).len();
        } else if trims && !plus && self.syntax.trim_blocks && self.rest().starts_with('\n') {
            self.at += 1;
        }
        self.line_starts = self.text[..self.at].ends_with('\n');
    }

    fn comment(&mut self, start: usize) -> Result<(), Problem> {
        let end = self.syntax.comment_end.as_str();
        let Some(at) = self.rest().find(end) else { return self.problem("Missing end of comment tag", start) };
        let sign = self.rest()[..at].chars().next_back();
        let past = self.at + at + end.len();
        self.after(past, sign == Some('-'), sign == Some('+'), true);
        Ok(())
    }

    fn raw(&mut self, start: usize) -> Result<(), Problem> {
        let begin = self.at;
        self.line_starts = self.text[..begin].ends_with('\n');
        let mut from = begin;
        let (block_start, block_end) = (self.syntax.block_start.as_str(), self.syntax.block_end.as_str());
        while let Some(at) = self.text[from..].find(block_start) {
            let tag = from + at;
            from = tag + block_start.len();
            let rest = &self.text[from..];
            let sign = rest.chars().next().filter(|c| matches!(c, '-' | '+'));
            let rest = rest[sign.map_or(0, char::len_utf8)..].trim_start();
            let Some(rest) = rest.strip_prefix("endraw") else { continue };
            let rest = rest.trim_start();
            let close = rest.chars().next().filter(|c| matches!(c, '-' | '+'));
            let Some(rest) = rest[close.map_or(0, char::len_utf8)..].strip_prefix(block_end) else { continue };
            let data_end = self.trimmed_end(begin, tag, sign, true);
            if data_end > begin {
                self.push(Token::Data, begin, data_end);
            }
            self.after(self.text.len() - rest.len(), close == Some('-'), close == Some('+'), true);
            return Ok(());
        }
        self.problem("Missing end of raw directive", start)
    }

    /// The end of the tag at `at`, if it is one: its length, and whether a minus or a plus stands before it.
    fn end_of(&self, tag: Tag) -> Option<(usize, bool, bool)> {
        let rest = self.rest();
        let end = match tag {
            Tag::Print => self.syntax.variable_end.as_str(),
            _ => self.syntax.block_end.as_str(),
        };
        if rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(end)) {
            return Some((end.len() + 1, true, false));
        }
        if tag == Tag::Block && rest.strip_prefix('+').is_some_and(|rest| rest.starts_with(end)) {
            return Some((end.len() + 1, false, true));
        }
        rest.starts_with(end).then_some((end.len(), false, false))
    }

    fn inside(&mut self, tag: Tag) -> Result<(), Problem> {
        let opened = self.at;
        let mut open: Vec<(&'static str, usize)> = Vec::new();
        loop {
            if tag == Tag::LineStatement {
                // White space up to its last line end ends the statement, or all of it at the end of the template.
                let blank = &self.rest()[..self.rest().len() - self.rest().trim_start_matches(is_blank).len()];
                let at_end = self.at + blank.len() == self.text.len();
                let end = if at_end { Some(blank.len()) } else { blank.rfind('\n').map(|at| at + 1) };
                if let Some(length) = end.filter(|_| open.is_empty()) {
                    self.push(Token::BlockEnd, self.at, self.at + length);
                    self.at += length;
                    self.line_starts = true;
                    return Ok(());
                }
            } else if open.is_empty() {
                if let Some((length, minus, plus)) = self.end_of(tag) {
                    let end = self.at + length;
                    self.push(if tag == Tag::Print { Token::PrintEnd } else { Token::BlockEnd }, self.at, end);
                    self.after(end, minus, plus, tag != Tag::Print);
                    return Ok(());
                }
            }
            let Some(c) = self.rest().chars().next() else {
                let what = if tag == Tag::Print { "print statement" } else { "statement block" };
                return match open.last() {
                    Some((bracket, at)) => self.problem(format!("'{bracket}' is never closed"), *at),
                    None => self.problem(format!("unexpected end of template inside of a {what}"), opened),
                };
            };
            if is_blank(c) {
                self.at += self.rest().len() - self.rest().trim_start_matches(is_blank).len();
                continue;
            }
            self.expression_token(c, &mut open)?;
        }
    }

    fn expression_token(&mut self, c: char, open: &mut Vec<(&'static str, usize)>) -> Result<(), Problem> {
        let start = self.at;
        if c.is_ascii_digit() {
            return self.number();
        }
        if is_word(c) {
            let length = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
            let name = &self.rest()[..length];
            if !is_identifier(name) {
                return self.problem("Invalid character in identifier", start);
            }
            self.at += length;
            self.push(Token::Name(name.to_string()), start, self.at);
            return Ok(());
        }
        if matches!(c, '\'' | '"') {
            return self.string(c);
        }
        let Some(operator) = OPERATORS.into_iter().find(|operator| self.rest().starts_with(operator)) else {
            return self.problem(format!("unexpected char {c:?}"), start);
        };
        match operator {
            "(" | "[" | "{" if open.len() >= MAX_OPEN => return self.problem(format!("more than {MAX_OPEN} open brackets"), start),
            "(" | "[" | "{" => open.push((operator, start)),
            ")" | "]" | "}" => {
                let expected = match open.pop() {
                    None => return self.problem(format!("unexpected '{operator}'"), start),
                    Some(("(", _)) => ")",
                    Some(("[", _)) => "]",
                    Some(_) => "}",
                };
                if expected != operator {
                    return self.problem(format!("unexpected '{operator}', expected '{expected}'"), start);
                }
            }
            _ => {}
        }
        self.at += operator.len();
        self.push(Token::Op(operator), start, self.at);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let rest = self.rest();
        let digits = |text: &str, radix: u32| -> usize {
            let mut length = 0;
            let mut last_is_digit = false;
            for c in text.chars() {
                if c.is_digit(radix) {
                    last_is_digit = true;
                } else if c == '_' && (last_is_digit || (length == 0 && radix != 10)) {
                    last_is_digit = false;
                } else {
                    break;
                }
                length += 1;
            }
            if length > 0 && !last_is_digit {
                length -= 1;
            }
            length
        };
        for (prefix, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] {
            if rest.len() > 2 && rest.is_char_boundary(2) && rest[..2].eq_ignore_ascii_case(prefix) {
                let length = digits(&rest[2..], radix);
                if length > 0 {
                    let number = i128::from_str_radix(&rest[2..2 + length].replace('_', ""), radix);
                    return self.integer(number.ok(), start, 2 + length);
                }
            }
        }
        let whole = digits(rest, 10);
        let mut length = whole;
        let mut is_float = false;
        if !self.text[..start].ends_with('.') {
            if rest[length..].starts_with('.') {
                let fraction = digits(&rest[length + 1..], 10);
                if fraction > 0 && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit()) {
                    length += 1 + fraction;
                    is_float = true;
                }
            }
            if rest[length..].starts_with(['e', 'E']) {
                let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
                let exponent = digits(&rest[length + 1 + sign..], 10);
                if exponent > 0 {
                    length += 1 + sign + exponent;
                    is_float = true;
                }
            }
        }
        let text = rest[..length].replace('_', "");
        if is_float {
            let number: f64 = text.parse().unwrap_or(f64::INFINITY);
            if !number.is_finite() {
                return self.problem("the number is too large", start);
            }
            self.at += length;
            self.push(Token::Float(number), start, self.at);
            return Ok(());
        }
        // As in Python, 0 may be repeated but not begin another number: `012` is 0 and then 12.
        if text.starts_with('0') && !text.chars().all(|c| c == '0') {
            let zeros = rest.find(|c: char| c != '0' && c != '_').unwrap_or(1);
            return self.integer(Some(0), start, zeros);
        }
        self.integer(text.parse().ok(), start, length)
    }

    fn integer(&mut self, number: Option<i128>, start: usize, length: usize) -> Result<(), Problem> {
        let Some(number) = number else { return self.problem("the number is too large", start) };
        self.at += length;
        self.push(Token::Int(number), start, self.at);
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), Problem> {
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.at = start + 1 + at + 1;
                self.push(Token::Str(value), start, self.at);
                return Ok(());
            }
            if c != '\\' {
                value.push(c);
                continue;
            }
            let Some((_, escaped)) = chars.next() else { break };
            let digits = match escaped {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            if digits > 0 {
                let place = start + 1 + at;
                let text: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                let code = u32::from_str_radix(&text, 16).ok().filter(|_| text.len() == digits);
                let Some(c) = code.and_then(char::from_u32) else {
                    return self.problem(format!("'\\{escaped}{text}' is no character"), place);
                };
                value.push(c);
                continue;
            }
            match escaped {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                'a' => value.push('\u{7}'),
                'b' => value.push('\u{8}'),
                'f' => value.push('\u{c}'),
                'v' => value.push('\u{b}'),
                '\n' => {}
                '\\' | '\'' | '"' => value.push(escaped),
                '0'..='7' => {
                    let mut code = escaped.to_digit(8).unwrap_or(0);
                    for _ in 0..2 {
                        let Some(digit) = chars.clone().next().and_then(|(_, c)| c.to_digit(8)) else { break };
                        code = code * 8 + digit;
                        chars.next();
                    }
                    value.push(char::from_u32(code).unwrap_or('\0'));
                }
                other => {
                    value.push('\\');
                    value.push(other);
                }
            }
        }
        self.problem("the string is never closed", start)
    }
}
