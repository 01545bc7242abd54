//! What serde's attributes say of a type, a variant or a field.

use crate::lex::{Kind, Token};
use crate::syntax::Attributes;

/// Whether a value comes in (Deserialize) or goes out (Serialize).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

/// `name`, `name = "value"`, and `name(serialize = …, deserialize = …)` as the way has it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    all: Vec<(String, Option<String>)>,
}

impl Settings {
    pub fn of(attributes: &Attributes, way: Way) -> Settings {
        let mut out = Settings::default();
        for attribute in attributes.named("serde") {
            out.read(&attribute.tokens, way);
        }
        out
    }

    fn read(&mut self, tokens: &[Token], way: Way) {
        for part in tokens.split(|token| token.is(',')) {
            let Some(name) = part.first().and_then(Token::ident) else { continue };
            match &part[1..] {
                [] => self.all.push((name.into(), None)),
                [equals, value] if equals.is('=') => {
                    if let Kind::Text(text) = &value.kind {
                        self.all.push((name.into(), Some(text.clone())));
                    }
                }
                [group] => {
                    let mut inner = Settings::default();
                    inner.read(group.group('(').unwrap_or(&[]), way);
                    let wanted = if way == Way::In { "deserialize" } else { "serialize" };
                    if let Some(value) = inner.value(wanted) {
                        self.all.push((name.into(), Some(value.into())));
                    }
                }
                _ => {}
            }
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.all.iter().any(|(own, _)| own == name)
    }
    pub fn value(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(own, _)| own == name).and_then(|(_, value)| value.as_deref())
    }
    pub fn skips(&self, way: Way) -> bool {
        self.has("skip") || self.has(if way == Way::In { "skip_deserializing" } else { "skip_serializing" })
    }
}

fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (index, c) in name.chars().enumerate() {
        if c == '_' {
            out.push(String::new());
        } else {
            if index == 0 || (c.is_uppercase() && out.last().is_some_and(|word| !word.is_empty())) {
                out.push(String::new());
            }
            if let Some(word) = out.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// serde's `rename_all` rules; `field`: the name is in snake_case, else in PascalCase.
pub fn renamed(name: &str, rule: Option<&str>, field: bool) -> String {
    let Some(rule) = rule else { return name.into() };
    // serde takes a field's words at its underscores alone, a variant's at its capitals.
    let parts = if field { name.split('_').filter(|word| !word.is_empty()).map(str::to_string).collect() } else { words(name) };
    match rule {
        "lowercase" => if field { name.into() } else { name.to_lowercase() },
        "UPPERCASE" => name.to_uppercase(),
        "PascalCase" => if field { parts.iter().map(|word| capital(word)).collect() } else { name.into() },
        "camelCase" => {
            let pascal: String = if field { parts.iter().map(|word| capital(word)).collect() } else { name.into() };
            let mut chars = pascal.chars();
            chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
        }
        "snake_case" => if field { name.into() } else { parts.join("_") },
        "SCREAMING_SNAKE_CASE" => if field { name.to_uppercase() } else { parts.join("_").to_uppercase() },
        "kebab-case" => if field { name.replace('_', "-") } else { parts.join("-") },
        "SCREAMING-KEBAB-CASE" => if field { name.to_uppercase().replace('_', "-") } else { parts.join("-").to_uppercase() },
        _ => name.into(),
    }
}
