//! Jinja2's filters of text: case, white space, width, links and markup.

use super::call::Bound;
use super::filters::{Body, Filter};
use super::formats::{self, escaped};
use super::functions::shown;
use super::limits;
use super::methods::{capitalized, justified, replaced, split_lines, split_text, trimmed};
use super::operators::like;
use super::values::{entries_of, failed, repr_of, text_of, type_of, Dict, List, Tuple};
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Error, State, Value};

const fn filter(name: &'static str, parameters: &'static [&'static str], body: Body) -> Filter {
    Filter { name, parameters, body }
}

pub const FILTERS: &[Filter] = &[
    filter("capitalize", &["s"], |state, args| changed(state, &args, capitalized)),
    filter("center", &["value", "width"], center),
    filter("indent", &["s", "width", "first", "blank"], indent),
    filter("lines", &["s"], lines),
    filter("lower", &["s"], |state, args| changed(state, &args, str::to_lowercase)),
    filter("pprint", &["value"], |_, args| pretty(&args.get(0), 0).map(Value::from)),
    filter("replace", &["s", "old", "new", "count"], replace),
    filter("split", &["s", "sep", "maxsplit"], split),
    filter("striptags", &["value"], striptags),
    filter("title", &["s"], |state, args| changed(state, &args, titled)),
    filter("tojson", &["value", "indent"], tojson),
    filter("trim", &["value", "chars"], trim),
    filter("truncate", &["s", "length", "killwords", "end", "leeway"], truncate),
    filter("upper", &["s"], |state, args| changed(state, &args, str::to_uppercase)),
    filter("urlencode", &["value"], urlencode),
    filter("urlize", &["value", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes"], urlize),
    filter("wordcount", &["s"], wordcount),
    filter("wordwrap", &["s", "width", "break_long_words", "wrapstring", "break_on_hyphens"], wordwrap),
    filter("xmlattr", &["d", "autospace"], xmlattr),
];

fn changed(state: &State, args: &Bound, change: fn(&str) -> String) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    limits::text(text.len())?;
    Ok(like(args.get(0).is_safe(), change(&text)))
}

/// Words begin after white space, hyphens and opening brackets.
fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        begins = c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<');
    }
    out
}

fn center(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    let centered = justified(&text, args.size(1, 80)?, ' ', |missing, width| missing / 2 + (missing & width & 1))?;
    Ok(like(args.get(0).is_safe(), centered))
}

fn indent(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    let width = args.get(1);
    let indention = match width.as_str() {
        Some(text) => text.to_string(),
        None => {
            let width = args.size(1, 4)?;
            limits::text(width)?;
            " ".repeat(width)
        }
    };
    let (first, blank) = (args.flag(2, false), args.flag(3, false));
    let ending = text.clone() + "\n";
    let lines = split_lines(&ending, false);
    limits::text(text.len().saturating_add(lines.len().saturating_mul(indention.len())))?;
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let indents = if index == 0 { first } else { blank || !line.is_empty() };
        out += if index > 0 { "\n" } else { "" };
        out += if indents { &indention } else { "" };
        out += line;
    }
    Ok(like(args.get(0).is_safe(), out))
}

fn lines(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    let lines = split_lines(&text, false);
    limits::items(lines.len().saturating_mul(2))?;
    Ok(List::value(lines.into_iter().map(Value::from).collect()))
}

fn split(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    split_text(&text, args.optional_text(1)?.as_deref(), args.int(2, -1)?, false)
}

fn replace(state: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    let count = if args.get(3).is_none() { -1 } else { args.int(3, -1)? };
    let (old, new) = (args.required(1)?, args.required(2)?);
    let escapes = state.auto_escape() != AutoEscape::None;
    if !escapes {
        return Ok(Value::from(replaced(&shown(state, &value)?, &text_of(&old)?, &text_of(&new)?, count)?));
    }
    // A text that is not yet safe is escaped first where one of the others is safe.
    let safe = value.is_safe() || ((old.is_safe() || new.is_safe()) && !value.is_safe());
    if safe {
        let text = formats::html_of(&value)?;
        return Ok(Value::from_safe_string(replaced(&text, &formats::html_of(&old)?, &formats::html_of(&new)?, count)?));
    }
    Ok(Value::from(replaced(&shown(state, &value)?, &text_of(&old)?, &text_of(&new)?, count)?))
}

fn trim(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    Ok(like(args.get(0).is_safe(), trimmed(&text, args.optional_text(1)?.as_deref(), true, true)))
}

fn truncate(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    let (length, end) = (args.size(1, 255)?, args.text(3, "...")?);
    let leeway = args.size(4, 5)?;
    let end_length = end.chars().count();
    if length < end_length {
        return Err(failed(format!("expected length >= {end_length}, got {length}")));
    }
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(like(args.get(0).is_safe(), text));
    }
    let kept: String = text.chars().take(length - end_length).collect();
    let kept = if args.flag(2, false) { kept.as_str() } else { kept.rsplit_once(' ').map_or(kept.as_str(), |(kept, _)| kept) };
    Ok(like(args.get(0).is_safe(), format!("{kept}{end}")))
}

fn wordcount(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    Ok(Value::from(text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).count()))
}

/// White space and words in turn; a hyphen ends a piece of a word, where words may break there.
fn pieces(line: &str, break_on_hyphens: bool) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut piece = String::new();
    let chars: Vec<char> = line.chars().collect();
    for (index, c) in chars.iter().enumerate() {
        let is_blank = c.is_whitespace();
        if !piece.is_empty() && piece.ends_with(char::is_whitespace) != is_blank {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push(*c);
        let between_letters = index > 0
            && chars[index - 1].is_alphabetic()
            && chars.get(index + 1).is_some_and(|next| next.is_alphabetic());
        if *c == '-' && break_on_hyphens && between_letters {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

fn wrapped(line: &str, width: usize, break_long: bool, break_on_hyphens: bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut length = 0;
    let mut queue: std::collections::VecDeque<String> = pieces(line, break_on_hyphens).into();
    while let Some(piece) = queue.pop_front() {
        let count = piece.chars().count();
        let is_blank = piece.starts_with(char::is_whitespace);
        if length == 0 && is_blank && !lines.is_empty() {
            continue;
        }
        if length + count <= width {
            current += &piece;
            length += count;
            continue;
        }
        if count > width && break_long && !is_blank {
            // What fits, then whole lines of it; the last of them may go on.
            let chars: Vec<char> = piece.chars().collect();
            let (head, mut tail) = chars.split_at((width - length).min(chars.len()));
            current.extend(head);
            while tail.len() > width {
                lines.push(std::mem::replace(&mut current, tail[..width].iter().collect()));
                tail = &tail[width..];
            }
            queue.push_front(tail.iter().collect());
        } else if length == 0 {
            current += &piece;
        } else {
            queue.push_front(piece);
        }
        let done = current.trim_end().to_string();
        if !done.is_empty() {
            lines.push(done);
        }
        current.clear();
        length = 0;
    }
    let done = current.trim_end().to_string();
    if !done.is_empty() {
        lines.push(done);
    }
    lines
}

fn wordwrap(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    let width = args.size(1, 79)?;
    if width == 0 {
        return Err(failed("invalid width 0 (must be > 0)"));
    }
    let wrapstring = args.optional_text(3)?.unwrap_or_else(|| "\n".into());
    let (break_long, on_hyphens) = (args.flag(2, true), args.flag(4, true));
    limits::text(text.len().saturating_mul(20))?;
    let mut out: Vec<String> = Vec::new();
    for line in split_lines(&text, false) {
        let lines = wrapped(line, width, break_long, on_hyphens);
        limits::text(lines.len().saturating_mul(wrapstring.len()))?;
        out.push(lines.join(&wrapstring));
    }
    limits::text(out.len().saturating_mul(wrapstring.len()))?;
    Ok(like(args.get(0).is_safe(), out.join(&wrapstring)))
}

// ---- Markup ------------------------------------------------------------------------------------------------------------

fn striptags(state: &State, args: Bound) -> Result<Value, Error> {
    let text = shown(state, &args.get(0))?;
    let mut rest = text.as_str();
    let mut out = String::new();
    while let Some(at) = rest.find('<') {
        out += &rest[..at];
        let (end, length) = if rest[at..].starts_with("<!--") { ("-->", 3) } else { (">", 1) };
        match rest[at..].find(end) {
            Some(found) => rest = &rest[at + found + length..],
            None => {
                out += &rest[at..];
                rest = "";
            }
        }
    }
    out += rest;
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&nbsp;", "\u{a0}"), ("&amp;", "&")];
    limits::text(text.len() * 2)?;
    Ok(Value::from(entities.into_iter().fold(words, |text, (entity, c)| text.replace(entity, c))))
}

fn xmlattr(state: &State, args: Bound) -> Result<Value, Error> {
    let mut out = String::new();
    for (key, value) in entries_of(&args.get(0))? {
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let name = text_of(&key)?;
        if let Some(wrong) = name.chars().find(|c| c.is_whitespace() || matches!(c, '/' | '>' | '=')) {
            return Err(failed(format!("Invalid character in attribute name: {wrong:?} in {name:?}")));
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let part = format!("{}=\"{}\"", escaped(&name), formats::html_of(&value)?);
        limits::text(part.len())?;
        out += &part;
    }
    if args.flag(1, true) && !out.is_empty() {
        out.insert(0, ' ');
    }
    Ok(like(state.auto_escape() != AutoEscape::None, out))
}

fn percent_encoded(text: &str, keeps: fn(u8) -> bool, space: &str) -> Result<String, Error> {
    limits::text(text.len().saturating_mul(3))?;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out += space,
            byte if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || keeps(byte) => out.push(byte as char),
            byte => out += &format!("%{byte:02X}"),
        }
    }
    Ok(out)
}

fn urlencode(state: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    let pairs = match value.kind() {
        ValueKind::Map => entries_of(&value)?,
        ValueKind::Seq | ValueKind::Iterable => super::methods::pairs_of(&value)?,
        _ => return percent_encoded(&shown(state, &value)?, |byte| byte == b'/', "%20").map(Value::from),
    };
    let mut parts = Vec::new();
    for (key, value) in pairs {
        let part = |value: &Value| percent_encoded(&text_of(value)?, |_| false, "+");
        parts.push(format!("{}={}", part(&key)?, part(&value)?));
    }
    Ok(Value::from(parts.join("&")))
}

fn is_host_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '%' | '-')
}

/// Whether `word` is an address of the web: with its scheme, `www.`, or a well-known ending.
fn is_web_address(word: &str) -> bool {
    let lower = word.to_lowercase();
    let scheme = ["https://", "http://"].into_iter().find_map(|scheme| lower.strip_prefix(scheme));
    let rest = scheme.unwrap_or(&lower);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains(char::is_whitespace) {
        return false;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(']') || !port.is_empty() => (host, Some(port)),
        _ => (authority, None),
    };
    if port.is_some_and(|port| port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return scheme.is_some() && authority.starts_with('[') && authority.ends_with(']');
    }
    let labels: Vec<&str> = host.split('.').collect();
    if !labels.iter().all(|label| !label.is_empty() && label.chars().all(is_host_char)) {
        return scheme.is_some() && host.starts_with('[') && host.ends_with(']');
    }
    let last = labels.last().copied().unwrap_or_default();
    let is_top = |label: &str| (2..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_lowercase());
    if scheme.is_some() {
        let is_number = labels.len() == 4 && labels.iter().all(|label| label.len() <= 3 && label.bytes().all(|byte| byte.is_ascii_digit()));
        return is_number || is_top(last) || last.starts_with("xn--");
    }
    if labels[0] == "www" && labels.len() > 1 {
        return is_top(last) || last.starts_with("xn--");
    }
    labels.len() > 1 && ["com", "net", "int", "edu", "gov", "org", "info", "mil"].contains(&last)
}

fn is_mail_address(word: &str) -> bool {
    let Some((name, host)) = word.rsplit_once('@') else { return false };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let Some((front, last)) = host.rsplit_once('.') else { return false };
    !name.is_empty()
        && !last.is_empty()
        && last.chars().all(is_word)
        && front.starts_with(is_word)
        && front.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

/// Splits brackets and punctuation from both ends of a word; brackets that the word itself opened stay in it.
fn without_punctuation(word: &str) -> (String, String, String) {
    let mut start = 0;
    while let Some(skip) = ["(", "<", "&lt;"].into_iter().find(|skip| word[start..].starts_with(skip)) {
        start += skip.len();
    }
    let mut end = word.len();
    while let Some(skip) = [")", ">", ".", ",", "\n", "&gt;"].into_iter().find(|skip| word[start..end].ends_with(skip)) {
        end -= skip.len();
    }
    let (head, mut middle, mut tail) = (word[..start].to_string(), word[start..end].to_string(), word[end..].to_string());
    for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
        let opened = middle.matches(open).count();
        if opened <= middle.matches(close).count() {
            continue;
        }
        for _ in 0..opened.min(tail.matches(close).count()) {
            let end = tail.find(close).unwrap_or(0) + close.len();
            middle += &tail[..end];
            tail = tail[end..].to_string();
        }
    }
    (head, middle, tail)
}

fn urlize(state: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    shown(state, &value)?;
    let text = formats::html_of(&value)?;
    limits::text(text.len().saturating_mul(20))?;
    let limit = if args.get(1).is_none() { usize::MAX } else { args.size(1, usize::MAX)? };
    let mut rels: Vec<String> = args.optional_text(4)?.unwrap_or_default().split_whitespace().map(str::to_string).collect();
    if args.flag(2, false) {
        rels.push("nofollow".into());
    }
    rels.push("noopener".into());
    rels.sort();
    rels.dedup();
    let mut attributes = format!(" rel=\"{}\"", escaped(&rels.join(" ")));
    if let Some(target) = args.optional_text(3)? {
        attributes += &format!(" target=\"{}\"", escaped(&target));
    }
    let extra = args.get(5);
    let mut schemes = Vec::new();
    if !extra.is_undefined() && !extra.is_none() {
        for scheme in extra.try_iter()? {
            let scheme = text_of(&scheme)?;
            let name = scheme.strip_suffix(':').or_else(|| scheme.strip_suffix("://")).unwrap_or("");
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-')) {
                return Err(failed(format!("{scheme:?} is not a valid URI scheme prefix.")));
            }
            schemes.push(scheme);
        }
    }
    let shortened = |url: &str| -> String {
        if url.chars().count() > limit {
            url.chars().take(limit).collect::<String>() + "..."
        } else {
            url.to_string()
        }
    };
    let mut out = String::new();
    for word in words_and_blanks(&text) {
        let (head, middle, tail) = without_punctuation(word);
        let link = if is_web_address(&middle) {
            let lower = middle.to_lowercase();
            let scheme = if lower.starts_with("http://") || lower.starts_with("https://") { "" } else { "https://" };
            format!("<a href=\"{scheme}{middle}\"{attributes}>{}</a>", shortened(&middle))
        } else if middle.strip_prefix("mailto:").is_some_and(is_mail_address) {
            format!("<a href=\"{middle}\">{}</a>", &middle[7..])
        } else if !middle.starts_with("www.") && !middle.starts_with('@') && !middle.contains(':') && is_mail_address(&middle) {
            format!("<a href=\"mailto:{middle}\">{middle}</a>")
        } else if schemes.iter().any(|scheme| middle.starts_with(scheme.as_str()) && middle != *scheme) {
            format!("<a href=\"{middle}\"{attributes}>{middle}</a>")
        } else {
            middle
        };
        limits::text(head.len() + link.len() + tail.len())?;
        out += &head;
        out += &link;
        out += &tail;
    }
    Ok(like(state.auto_escape() != AutoEscape::None, out))
}

/// `text` cut between white space and words.
fn words_and_blanks(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blank = first.is_whitespace();
        let end = rest.find(|c: char| c.is_whitespace() != blank).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts
}

// ---- JSON and Python's own notation ------------------------------------------------------------------------------------

fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            // Safe between tags of HTML and in its attributes.
            '<' | '>' | '&' | '\'' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if c.is_ascii() && !c.is_ascii_control() => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

fn json(value: &Value, indent: Option<&str>, level: usize, out: &mut String) -> Result<(), Error> {
    limits::items(1)?;
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => {
            let text = text_of(value)?;
            out.push_str(match text.as_str() {
                "inf" => "Infinity",
                "-inf" => "-Infinity",
                "nan" => "NaN",
                text => text,
            });
        }
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            limits::text(text.len())?;
            json_string(text, out);
        }
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            let nested = limits::deeper(|| json_container(value, indent, level, out));
            return nested.unwrap_or_else(|| Err(failed("the values are nested too deeply for JSON")));
        }
        _ => return Err(failed(format!("Object of type {} is not JSON serializable", type_of(value)))),
    }
    Ok(())
}

fn json_container(value: &Value, indent: Option<&str>, level: usize, out: &mut String) -> Result<(), Error> {
    let is_map = value.kind() == ValueKind::Map;
    if is_map && value.downcast_object_ref::<Dict>().is_none_or(|dict| dict.is_namespace) {
        return Err(failed(format!("Object of type {} is not JSON serializable", type_of(value))));
    }
    let mut entries: Vec<(Option<String>, Value)> = if is_map {
        let named = entries_of(value)?.into_iter().map(|(key, value)| {
            let name = match key.kind() {
                ValueKind::Bool | ValueKind::None => {
                    let mut text = String::new();
                    json(&key, None, 0, &mut text)?;
                    text
                }
                _ => text_of(&key)?,
            };
            Ok((Some(name), value))
        });
        named.collect::<Result<_, Error>>()?
    } else {
        value.try_iter()?.map(|item| (None, item)).collect()
    };
    limits::items(entries.len() + 1)?;
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    let (open, close) = if is_map { ('{', '}') } else { ('[', ']') };
    out.push(open);
    for (index, (name, item)) in entries.iter().enumerate() {
        if index > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        new_line(indent, level + 1, out)?;
        if let Some(name) = name {
            limits::text(name.len())?;
            json_string(name, out);
            out.push_str(": ");
        }
        json(item, indent, level + 1, out)?;
    }
    if !entries.is_empty() {
        new_line(indent, level, out)?;
    }
    out.push(close);
    Ok(())
}

fn new_line(indent: Option<&str>, level: usize, out: &mut String) -> Result<(), Error> {
    let Some(indent) = indent else { return Ok(()) };
    limits::text(indent.len().saturating_mul(level) + 1)?;
    out.push('\n');
    out.push_str(&indent.repeat(level));
    Ok(())
}

fn tojson(_: &State, args: Bound) -> Result<Value, Error> {
    let indent = args.get(1);
    let indent = match indent.as_str() {
        Some(text) => Some(text.to_string()),
        None if indent.is_undefined() || indent.is_none() => None,
        None => {
            let width = args.size(1, 0)?;
            limits::text(width)?;
            Some(" ".repeat(width))
        }
    };
    let mut out = String::new();
    json(&args.get(0), indent.as_deref(), 0, &mut out)?;
    Ok(Value::from_safe_string(out))
}

/// As Python's `pprint.pformat`, but for texts that it would break.
fn pretty(value: &Value, indent: usize) -> Result<String, Error> {
    let flat = repr_of(&with_sorted_keys(value)?)?;
    if flat.chars().count() + indent <= 80 {
        return Ok(flat);
    }
    let lines = |parts: Vec<String>, open: &str, close: &str| -> Result<String, Error> {
        limits::text((indent + 2).saturating_mul(parts.len()))?;
        Ok(format!("{open}{}{close}", parts.join(&format!(",\n{}", " ".repeat(indent + 1)))))
    };
    let nested = |items: &[Value]| items.iter().map(|item| pretty(item, indent + 1)).collect::<Result<Vec<_>, _>>();
    let formatted = limits::deeper(|| {
        if let Some(list) = value.downcast_object_ref::<List>() {
            let items = list.snapshot();
            return Some(nested(&items).and_then(|parts| lines(parts, "[", "]")));
        }
        if let Some(tuple) = value.downcast_object_ref::<Tuple>() {
            let close = if tuple.items().len() == 1 { ",)" } else { ")" };
            return Some(nested(tuple.items()).and_then(|parts| lines(parts, "(", close)));
        }
        let dict = value.downcast_object_ref::<Dict>().filter(|dict| !dict.is_namespace)?;
        let parts = sorted_entries(dict).and_then(|entries| {
            let part = |(key, value): &(Value, Value)| -> Result<String, Error> {
                let key = repr_of(key)?;
                Ok(format!("{key}: {}", pretty(value, indent + key.chars().count() + 3)?))
            };
            entries.iter().map(part).collect::<Result<Vec<_>, _>>()
        });
        Some(parts.and_then(|parts| lines(parts, "{", "}")))
    });
    formatted.flatten().unwrap_or(Ok(flat))
}

fn with_sorted_keys(value: &Value) -> Result<Value, Error> {
    let sorted = limits::deeper(|| {
        let all = |items: &[Value]| items.iter().map(with_sorted_keys).collect::<Result<Vec<_>, _>>();
        if let Some(list) = value.downcast_object_ref::<List>() {
            limits::items(list.items().len().saturating_mul(3))?;
            return all(&list.snapshot()).map(List::value);
        }
        if let Some(tuple) = value.downcast_object_ref::<Tuple>() {
            limits::items(tuple.items().len().saturating_mul(3))?;
            return all(tuple.items()).map(Tuple::value);
        }
        let Some(dict) = value.downcast_object_ref::<Dict>().filter(|dict| !dict.is_namespace) else { return Ok(value.clone()) };
        let entries = sorted_entries(dict)?.into_iter().map(|(key, value)| Ok((key, with_sorted_keys(&value)?)));
        Ok(Dict::value(entries.collect::<Result<_, Error>>()?))
    });
    sorted.unwrap_or_else(|| Ok(value.clone()))
}

fn sorted_entries(dict: &Dict) -> Result<Vec<(Value, Value)>, Error> {
    let mut entries: Vec<(Value, Value)> = dict.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    limits::items(entries.len())?;
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(entries)
}
