//! Python's ways to format: `%`, `str.format` and its specifications, and HTML's escapes.

use super::limits;
use super::operators::like;
use super::values::{entries_of, failed, repr_of, text_of, type_of};
use minijinja::value::ValueKind;
use minijinja::{Error, Value};

/// A field may not be wider, nor more precise.
const MAX_WIDTH: usize = 100_000;
const MAX_PRECISION: usize = 1000;

/// As markupsafe escapes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

/// `value` as text that is safe in HTML.
pub fn html_of(value: &Value) -> Result<String, Error> {
    let text = text_of(value)?;
    if value.is_safe() {
        return Ok(text);
    }
    let escaped = escaped(&text);
    limits::text(escaped.len() - text.len())?;
    Ok(escaped)
}

#[derive(Clone, Debug)]
struct Spec {
    fill: char,
    align: Option<char>,
    sign: char,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            fill: ' ',
            align: None,
            sign: '-',
            alternate: false,
            zero: false,
            width: 0,
            grouping: None,
            precision: None,
            kind: None,
        }
    }
}

fn number_at(chars: &[char], at: &mut usize, most: usize, what: &str) -> Result<Option<usize>, Error> {
    let start = *at;
    let mut number = 0usize;
    while let Some(digit) = chars.get(*at).and_then(|c| c.to_digit(10)) {
        number = number.saturating_mul(10).saturating_add(digit as usize);
        *at += 1;
    }
    if number > most {
        return Err(failed(format!("the {what} of a format is larger than {most}")));
    }
    Ok((*at > start).then_some(number))
}

fn spec_of(text: &str) -> Result<Spec, Error> {
    let chars: Vec<char> = text.chars().collect();
    let mut spec = Spec::default();
    let mut at = 0;
    let is_align = |c: Option<&char>| c.is_some_and(|c| matches!(c, '<' | '>' | '=' | '^'));
    if is_align(chars.get(1)) {
        spec.fill = chars[0];
        spec.align = Some(chars[1]);
        at = 2;
    } else if is_align(chars.first()) {
        spec.align = Some(chars[0]);
        at = 1;
    }
    if let Some(sign @ ('+' | '-' | ' ')) = chars.get(at) {
        spec.sign = *sign;
        at += 1;
    }
    if chars.get(at) == Some(&'#') {
        spec.alternate = true;
        at += 1;
    }
    if chars.get(at) == Some(&'0') {
        spec.zero = true;
        at += 1;
    }
    spec.width = number_at(&chars, &mut at, MAX_WIDTH, "width")?.unwrap_or(0);
    if let Some(grouping @ (',' | '_')) = chars.get(at) {
        spec.grouping = Some(*grouping);
        at += 1;
    }
    if chars.get(at) == Some(&'.') {
        at += 1;
        let precision = number_at(&chars, &mut at, MAX_PRECISION, "precision")?;
        spec.precision = Some(precision.ok_or_else(|| failed("Format specifier missing precision"))?);
    }
    spec.kind = chars.get(at).copied();
    if chars.len() > at + 1 {
        return Err(failed(format!("Invalid format specifier '{text}'")));
    }
    Ok(spec)
}

fn padded(spec: &Spec, sign: &str, body: String, default_align: char) -> Result<String, Error> {
    let length = sign.chars().count() + body.chars().count();
    let missing = spec.width.saturating_sub(length);
    limits::text(length + missing)?;
    let align = spec.align.unwrap_or(if spec.zero { '=' } else { default_align });
    let fill = if spec.zero && spec.align.is_none() { '0' } else { spec.fill };
    let fills = |count: usize| fill.to_string().repeat(count);
    Ok(match align {
        '<' => format!("{sign}{body}{}", fills(missing)),
        '^' => format!("{}{sign}{body}{}", fills(missing / 2), fills(missing - missing / 2)),
        '=' => format!("{sign}{}{body}", fills(missing)),
        _ => format!("{}{sign}{body}", fills(missing)),
    })
}

fn grouped(digits: &str, separator: char, size: usize) -> String {
    let mut out = String::new();
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % size == 0 {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

fn sign_of(spec: &Spec, negative: bool) -> &'static str {
    match (negative, spec.sign) {
        (true, _) => "-",
        (false, '+') => "+",
        (false, ' ') => " ",
        _ => "",
    }
}

fn exponent(number: f64, precision: usize) -> (String, i32) {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_string(), exponent.parse().unwrap_or(0))
}

fn with_exponent(digits: &str, exponent: i32) -> String {
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

fn general(number: f64, precision: usize, alternate: bool) -> String {
    let precision = precision.max(1);
    if number == 0.0 {
        return "0".into();
    }
    let (digits, power) = exponent(number, precision - 1);
    let trimmed = |text: String| {
        if alternate || !text.contains('.') {
            text
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
    };
    if power >= -4 && power < precision as i32 {
        return trimmed(format!("{number:.*}", (precision as i32 - 1 - power).max(0) as usize));
    }
    with_exponent(&trimmed(digits), power)
}

fn float_body(spec: &Spec, number: f64, kind: char) -> Result<String, Error> {
    let precision = spec.precision.unwrap_or(6);
    let body = if number.is_finite() {
        match kind.to_ascii_lowercase() {
            'f' => format!("{number:.precision$}"),
            'e' => {
                let (digits, power) = exponent(number, precision);
                with_exponent(&digits, power)
            }
            'g' | 'n' => general(number, precision, spec.alternate),
            '%' => format!("{:.precision$}%", number * 100.0),
            _ => return Err(failed(format!("Unknown format code '{kind}' for object of type 'float'"))),
        }
    } else if number.is_nan() {
        "nan".into()
    } else {
        "inf".into()
    };
    let body = match (spec.grouping, body.find(|c: char| !c.is_ascii_digit())) {
        (Some(separator), Some(at)) => grouped(&body[..at], separator, 3) + &body[at..],
        (Some(separator), None) => grouped(&body, separator, 3),
        _ => body,
    };
    Ok(if kind.is_ascii_uppercase() { body.to_uppercase() } else { body })
}

fn formatted(value: &Value, spec: &Spec) -> Result<String, Error> {
    let is_bool = value.kind() == ValueKind::Bool && spec.kind.is_some_and(|kind| kind != 's');
    if value.is_integer() || is_bool {
        let number = i128::try_from(value.clone()).unwrap_or_else(|_| i128::from(value.is_true()));
        let sign = sign_of(spec, number < 0);
        let size = number.unsigned_abs();
        let (prefix, digits, group) = match spec.kind {
            None | Some('d' | 'n') => ("", size.to_string(), 3),
            Some('b') => ("0b", format!("{size:b}"), 4),
            Some('o') => ("0o", format!("{size:o}"), 4),
            Some('x') => ("0x", format!("{size:x}"), 4),
            Some('X') => ("0X", format!("{size:X}"), 4),
            Some('c') => {
                let c = u32::try_from(size).ok().and_then(char::from_u32).ok_or_else(|| failed("no such character"))?;
                return padded(spec, "", c.to_string(), '<');
            }
            Some(kind) => {
                let body = float_body(spec, size as f64, kind)
                    .map_err(|_| failed(format!("Unknown format code '{kind}' for object of type 'int'")))?;
                return padded(spec, sign, body, '>');
            }
        };
        let body = spec.grouping.map_or(digits.clone(), |separator| grouped(&digits, separator, group));
        return padded(spec, &format!("{sign}{}", if spec.alternate { prefix } else { "" }), body, '>');
    }
    if value.kind() == ValueKind::Number {
        let number = f64::try_from(value.clone()).unwrap_or_default();
        let body = match (spec.kind, spec.precision) {
            (None, None) if spec.grouping.is_none() => text_of(&Value::from(number.abs()))?,
            (None, None) => float_body(&Spec { precision: Some(1), ..spec.clone() }, number.abs(), 'f')?,
            (None, Some(_)) => general(number.abs(), spec.precision.unwrap_or(6), false),
            (Some(kind), _) => float_body(spec, number.abs(), kind)?,
        };
        return padded(spec, sign_of(spec, number.is_sign_negative() && !number.is_nan()), body, '>');
    }
    if let Some(kind) = spec.kind.filter(|kind| *kind != 's') {
        return Err(failed(format!("Unknown format code '{kind}' for object of type '{}'", type_of(value))));
    }
    let mut text = text_of(value)?;
    if let Some(precision) = spec.precision {
        text = text.chars().take(precision).collect();
    }
    padded(spec, "", text, '<')
}

/// A value's attribute or item by the name that a template writes.
pub fn attribute(value: &Value, name: &str) -> Value {
    if name.starts_with("__") {
        return Value::UNDEFINED;
    }
    let by_name = value.get_attr(name).unwrap_or_default();
    if !by_name.is_undefined() {
        return by_name;
    }
    match name.parse::<i64>() {
        Ok(index) => value.get_item(&Value::from(index)).unwrap_or_default(),
        Err(_) => by_name,
    }
}

fn field(path: &str, args: &[Value], named: &[(Value, Value)], next: &mut usize) -> Result<Value, Error> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, mut rest) = path.split_at(end);
    let index = if first.is_empty() {
        *next += 1;
        Some(*next - 1)
    } else {
        first.parse().ok()
    };
    let mut value = match index {
        Some(index) => args.get(index).cloned().ok_or_else(|| failed(format!("no argument {index} for the format")))?,
        None => {
            let found = named.iter().find(|(name, _)| name.as_str() == Some(first));
            found.map(|(_, value)| value.clone()).ok_or_else(|| failed(format!("no argument '{first}' for the format")))?
        }
    };
    while !rest.is_empty() {
        let name;
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').ok_or_else(|| failed("expected ']' before end of string"))?;
            name = &inner[..end];
            rest = &inner[end + 1..];
        } else {
            let inner = rest.trim_start_matches('.');
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            name = &inner[..end];
            rest = &inner[end..];
            if name.is_empty() {
                return Err(failed("Empty attribute in format string"));
            }
        }
        value = attribute(&value, name);
    }
    Ok(value)
}

/// `text.format(…)`. What goes into a text that is safe is escaped.
pub fn str_format(text: &Value, args: &[Value], named: &[(Value, Value)]) -> Result<Value, Error> {
    let source = text.as_str().unwrap_or_default();
    let mut out = String::new();
    let mut next = 0;
    let mut rest = source;
    while let Some(at) = rest.find(['{', '}']) {
        limits::items(1)?;
        out.push_str(&rest[..at]);
        let brace = rest[at..].chars().next().unwrap_or_default();
        rest = &rest[at + 1..];
        if rest.starts_with(brace) {
            out.push(brace);
            rest = &rest[1..];
            continue;
        }
        if brace == '}' {
            return Err(failed("Single '}' encountered in format string"));
        }
        let mut depth = 1;
        let end = rest.find(|c| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0
        });
        let Some(end) = end else { return Err(failed("expected '}' before end of string")) };
        let inner = &rest[..end];
        rest = &rest[end + 1..];
        let (name, spec) = inner.split_once(':').unwrap_or((inner, ""));
        let (path, conversion) = name.split_once('!').unwrap_or((name, ""));
        let mut value = field(path, args, named, &mut next)?;
        match conversion {
            "" => {}
            "s" => value = Value::from(text_of(&value)?),
            "r" | "a" => value = Value::from(repr_of(&value)?),
            other => return Err(failed(format!("Unknown conversion specifier '{other}'"))),
        }
        let spec = if spec.contains('{') {
            let mut resolved = String::new();
            let mut parts = spec;
            while let Some(at) = parts.find('{') {
                let end = parts[at..].find('}').ok_or_else(|| failed("expected '}' before end of string"))?;
                resolved += &parts[..at];
                resolved += &text_of(&field(&parts[at + 1..at + end], args, named, &mut next)?)?;
                parts = &parts[at + end + 1..];
            }
            spec_of(&(resolved + parts))?
        } else {
            spec_of(spec)?
        };
        let part = formatted(&value, &spec)?;
        if text.is_safe() && !value.is_safe() {
            out += &escaped(&part);
        } else {
            out += &part;
        }
        limits::text(part.len())?;
    }
    limits::text(source.len())?;
    out.push_str(rest);
    Ok(like(text.is_safe(), out))
}

/// `text % args`; `named` is the mapping that `%(name)s` reads.
pub fn printf(text: &Value, args: &[Value], named: Option<&Value>) -> Result<Value, Error> {
    let source = text.as_str().unwrap_or_default();
    let chars: Vec<char> = source.chars().collect();
    limits::text(source.len() * 2)?;
    let entries = named.map(entries_of).transpose()?;
    let mut out = String::new();
    let mut next = 0;
    let mut by_name = false;
    let mut at = 0;
    let take = |next: &mut usize| {
        *next += 1;
        args.get(*next - 1).cloned().ok_or_else(|| failed("not enough arguments for format string"))
    };
    while at < chars.len() {
        let c = chars[at];
        at += 1;
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.get(at) == Some(&'%') {
            out.push('%');
            at += 1;
            continue;
        }
        limits::items(1)?;
        let mut spec = Spec::default();
        let mut value = None;
        if chars.get(at) == Some(&'(') {
            let end = chars[at..].iter().position(|c| *c == ')').ok_or_else(|| failed("incomplete format key"))?;
            let name: String = chars[at + 1..at + end].iter().collect();
            at += end + 1;
            by_name = true;
            let entries = entries.as_ref().ok_or_else(|| failed("format requires a mapping"))?;
            let found = entries.iter().find(|(key, _)| key.as_str() == Some(name.as_str()));
            value = Some(found.map(|(_, value)| value.clone()).ok_or_else(|| failed(format!("no '{name}' for the format")))?);
        }
        while let Some(flag @ ('-' | '+' | ' ' | '#' | '0')) = chars.get(at) {
            match flag {
                '-' => spec.align = Some('<'),
                '#' => spec.alternate = true,
                '0' => spec.zero = true,
                sign => spec.sign = *sign,
            }
            at += 1;
        }
        if chars.get(at) == Some(&'*') {
            at += 1;
            spec.width = take(&mut next)?.as_usize().filter(|width| *width <= MAX_WIDTH).ok_or_else(|| failed("bad width"))?;
        } else {
            spec.width = number_at(&chars, &mut at, MAX_WIDTH, "width")?.unwrap_or(0);
        }
        if chars.get(at) == Some(&'.') {
            at += 1;
            spec.precision = Some(number_at(&chars, &mut at, MAX_PRECISION, "precision")?.unwrap_or(0));
        }
        while matches!(chars.get(at), Some('h' | 'l' | 'L')) {
            at += 1;
        }
        let Some(kind) = chars.get(at).copied() else { return Err(failed("incomplete format")) };
        at += 1;
        let value = match value {
            Some(value) => value,
            None => take(&mut next)?,
        };
        let safe = value.is_safe();
        let part = match kind {
            's' | 'r' | 'a' => {
                let text = if kind == 's' { text_of(&value)? } else { repr_of(&value)? };
                spec.zero = false;
                spec.align = spec.align.or(Some('>'));
                formatted(&Value::from(text), &spec)?
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let number = match value.kind() {
                    ValueKind::Number if !value.is_integer() => {
                        let number = f64::try_from(value.clone()).unwrap_or_default();
                        if !number.is_finite() {
                            return Err(failed("cannot convert float infinity or NaN to integer"));
                        }
                        Value::from(number.trunc() as i128)
                    }
                    ValueKind::Number | ValueKind::Bool => value,
                    _ => return Err(failed(format!("%{kind} format: a number is required, not {}", type_of(&value)))),
                };
                spec.precision = None;
                spec.kind = Some(if matches!(kind, 'i' | 'u') { 'd' } else { kind });
                formatted(&number, &spec)?
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let number = f64::try_from(value.clone())
                    .ok()
                    .or_else(|| (value.kind() == ValueKind::Bool).then(|| f64::from(u8::from(value.is_true()))))
                    .or_else(|| i128::try_from(value.clone()).ok().map(|number| number as f64))
                    .filter(|_| value.kind() != ValueKind::String)
                    .ok_or_else(|| failed(format!("must be real number, not {}", type_of(&value))))?;
                spec.kind = Some(kind);
                formatted(&Value::from(number), &spec)?
            }
            'c' => {
                spec.kind = value.is_integer().then_some('c');
                spec.align = spec.align.or(Some('>'));
                formatted(&value, &spec)?
            }
            other => return Err(failed(format!("unsupported format character '{other}'"))),
        };
        if text.is_safe() && !safe {
            out += &escaped(&part);
        } else {
            out += &part;
        }
    }
    if next < args.len() && !by_name && named.is_none() {
        return Err(failed("not all arguments converted during string formatting"));
    }
    Ok(like(text.is_safe(), out))
}

pub fn file_size(bytes: f64, binary: bool) -> String {
    let base = if binary { 1024.0 } else { 1000.0 };
    let units = if binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{} Bytes", bytes.trunc());
    }
    let mut limit = base;
    for unit in units {
        limit *= base;
        if bytes < limit || unit == units[7] {
            return format!("{:.1} {unit}", base * bytes / limit);
        }
    }
    String::new()
}
