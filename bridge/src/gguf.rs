//! The tokenizer in the head of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): byte-level BPE as
//! llama.cpp has it. What it cuts otherwise is refused, so that no count is exact by mistake.

use crate::tokens::{Cutter, Ranks, LLAMA3, NONE, QWEN2, QWEN35};
use crate::{guard, write_out, write_out_bytes, Buf, Str};
use rustc_hash::FxHashMap;
use serde_json::json;

const MOST_ENTRIES: u64 = 4096; // of the head
const MOST_TOKENS: u64 = 1 << 20;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// Little-endian values, one after the other.
struct Head<'a> {
    rest: &'a [u8],
}

type Read<T> = Result<T, &'static str>;

impl<'a> Head<'a> {
    fn take(&mut self, size: u64) -> Read<&'a [u8]> {
        let size = usize::try_from(size).ok().filter(|size| *size <= self.rest.len()).ok_or("it ends too soon")?;
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }
    fn number(&mut self, size: u64) -> Read<u64> {
        Ok(self.take(size)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
    fn string(&mut self) -> Read<&'a [u8]> {
        let size = self.number(8)?;
        self.take(size)
    }
    fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.string()?).map_err(|_| "a text is not UTF-8")
    }
}

/// The bytes of one value of a kind; none for texts and lists.
fn size_of(kind: u64) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
const STRING: u64 = 8;
const ARRAY: u64 = 9;

fn skip(head: &mut Head, kind: u64) -> Read<()> {
    match kind {
        STRING => head.string().map(|_| ()),
        ARRAY => {
            let (of, count) = (head.number(4)?, head.number(8)?);
            match size_of(of) {
                Some(size) => head.take(count.checked_mul(size).ok_or("a list is too long")?).map(|_| ()),
                None if of == STRING => (0..count).try_for_each(|_| head.string().map(|_| ())),
                None => Err("a list of lists"),
            }
        }
        _ => head.take(size_of(kind).ok_or("a value of an unknown kind")?).map(|_| ()),
    }
}

fn list<'a, T>(head: &mut Head<'a>, kind: u64, of: u64, one: impl Fn(&mut Head<'a>) -> Read<T>) -> Read<Vec<T>> {
    if kind != ARRAY || head.number(4)? != of {
        return Err("a list of the tokenizer has another kind");
    }
    let count = head.number(8)?;
    if count > MOST_TOKENS {
        return Err("it has too many tokens");
    }
    (0..count).map(|_| one(head)).collect()
}

#[derive(Default)]
struct Parts<'a> {
    model: &'a str,
    pre: &'a str,
    chat_template: &'a str,
    tokens: Vec<&'a str>,
    kinds: Vec<u64>,
    merges: Vec<&'a str>,
}

fn parts(bytes: &[u8]) -> Read<Parts<'_>> {
    let mut head = Head { rest: bytes };
    if head.take(4)? != b"GGUF" {
        return Err("it is no GGUF file");
    }
    if !(2..=3).contains(&head.number(4)?) {
        return Err("it has another version of the format");
    }
    head.take(8)?; // how many tensors
    let entries = head.number(8)?;
    if entries > MOST_ENTRIES {
        return Err("its head has too many entries");
    }
    let mut parts = Parts::default();
    for _ in 0..entries {
        let key = head.string()?;
        let kind = head.number(4)?;
        let text = match key {
            b"tokenizer.ggml.model" => &mut parts.model,
            b"tokenizer.ggml.pre" => &mut parts.pre,
            b"tokenizer.chat_template" => &mut parts.chat_template,
            b"tokenizer.ggml.tokens" => {
                parts.tokens = list(&mut head, kind, STRING, |head| head.text())?;
                continue;
            }
            b"tokenizer.ggml.token_type" => {
                parts.kinds = list(&mut head, kind, 5, |head| head.number(4))?;
                continue;
            }
            b"tokenizer.ggml.merges" => {
                parts.merges = list(&mut head, kind, STRING, |head| head.text())?;
                continue;
            }
            _ => {
                skip(&mut head, kind)?;
                continue;
            }
        };
        if kind != STRING {
            return Err("an entry of the tokenizer has another kind");
        }
        *text = head.text()?;
    }
    Ok(parts)
}

/// The character that stands for a byte in tokens and merges, as GPT-2 has it.
fn stand_in(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        0..=b' ' => char::from_u32(0x100 + u32::from(byte)).expect("a letter"),
        0x7f..=0xa0 => char::from_u32(0x100 + 33 + u32::from(byte) - 0x7f).expect("a letter"),
        0xad => '\u{143}',
    }
}

/// A token of its own wherever it stands in a text.
struct Special {
    text: Box<str>,
    is_control: bool,
}

pub struct Tokenizer {
    cutter: Cutter,
    bytes: [u32; 256],
    pairs: FxHashMap<(u32, u32), (u32, u32)>,
    whole: Option<FxHashMap<Box<[u8]>, u32>>, // where a piece that is a token is not merged
    specials: Vec<Special>,
    about: String,
}

impl Ranks for Tokenizer {
    fn byte(&self, byte: u8) -> u32 {
        self.bytes[usize::from(byte)]
    }
    fn pair(&self, left: u32, right: u32, _: &[u8]) -> Option<(u32, u32)> {
        self.pairs.get(&(left, right)).copied()
    }
    fn whole(&self, piece: &[u8]) -> Option<u32> {
        self.whole.as_ref()?.get(piece).copied()
    }
}

impl Tokenizer {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let parts = parts(bytes)?;
        if parts.model != "gpt2" {
            return Err(format!("its tokenizer is '{}'", parts.model.escape_debug()));
        }
        // The names are llama.cpp's (src/llama-vocab.cpp).
        let (patterns, is_whole) = match parts.pre {
            "qwen2" | "deepseek-r1-qwen" | "megrez" => (QWEN2, false),
            "qwen35" => (QWEN35, false),
            "llama3" | "llama-v3" | "llama-bpe" => (LLAMA3, true),
            other => return Err(format!("it cuts texts as '{}'", other.escape_debug())),
        };
        if parts.kinds.len() != parts.tokens.len() {
            return Err("its tokens have no kinds".into());
        }
        let mut specials = Vec::new();
        let mut ids = FxHashMap::default();
        ids.reserve(parts.tokens.len());
        for (id, (text, kind)) in parts.tokens.iter().zip(&parts.kinds).enumerate() {
            ids.insert(*text, id as u32);
            if matches!(*kind, CONTROL | USER_DEFINED) && !text.is_empty() {
                specials.push(Special { text: (*text).into(), is_control: *kind == CONTROL });
            }
        }
        specials.sort_by_key(|special| std::cmp::Reverse(special.text.len()));
        let mut tokens_of_bytes = [NONE; 256];
        for byte in 0..=255u8 {
            let name = stand_in(byte).to_string();
            tokens_of_bytes[usize::from(byte)] = *ids.get(name.as_str()).ok_or("a byte has no token")?;
        }
        let mut pairs = FxHashMap::default();
        pairs.reserve(parts.merges.len());
        let mut joined = String::new();
        for (rank, merge) in parts.merges.iter().enumerate() {
            // A part may begin with what looks like the space between them, and only there.
            let at = merge.as_bytes().iter().skip(1).position(|byte| *byte == b' ').ok_or("a merge has one part")? + 1;
            let (left, right) = (&merge[..at], &merge[at + 1..]);
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            let [Some(left), Some(right), Some(whole)] = [left, right, joined.as_str()].map(|text| ids.get(text).copied()) else {
                return Err("a merge has no token".into());
            };
            pairs.entry((left, right)).or_insert((rank as u32, whole));
        }
        let whole = is_whole.then(|| {
            let bytes_of: FxHashMap<char, u8> = (0..=255u8).map(|byte| (stand_in(byte), byte)).collect();
            ids.iter().filter_map(|(text, id)| Some((text.chars().map(|c| bytes_of.get(&c).copied()).collect::<Option<Box<[u8]>>>()?, *id))).collect()
        });
        let about = json!({ "tokenizer": parts.pre, "tokens": parts.tokens.len(), "chat_template": parts.chat_template }).to_string();
        Ok(Tokenizer { cutter: Cutter::new(&patterns), bytes: tokens_of_bytes, pairs, whole, specials, about })
    }

    /// Where each token of `text` ends. `control`: its control tokens are read as such too.
    fn ends(&self, text: &str, control: bool) -> Vec<u32> {
        let mut ends = Vec::with_capacity(text.len() / 4 + 1);
        // What is still to be cut, and whether it is one token.
        let mut fragments = vec![(0, text.len(), false)];
        for special in self.specials.iter().filter(|special| control || !special.is_control) {
            if !text.contains(&*special.text) {
                continue;
            }
            let mut next = Vec::with_capacity(fragments.len());
            for (from, to, is_token) in fragments {
                let mut at = from;
                while !is_token && at < to {
                    let Some(found) = text[at..to].find(&*special.text) else { break };
                    next.push((at, at + found, false));
                    next.push((at + found, at + found + special.text.len(), true));
                    at += found + special.text.len();
                }
                next.push((at, to, is_token));
            }
            fragments = next;
        }
        for (from, to, is_token) in fragments {
            if is_token {
                ends.push(to as u32);
            } else {
                self.cutter.ends(self, &text[from..to], from as u32, &mut ends);
            }
        }
        ends
    }
}

/// # Safety
/// `head` is readable; `out` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_tokenizer_new(head: Str, out: *mut Buf) -> *mut Tokenizer {
    let read = guard(|| Tokenizer::read(unsafe { head.bytes() })).and_then(|read| read);
    let (text, tokenizer) = match read {
        Ok(tokenizer) => (tokenizer.about.clone(), Box::into_raw(Box::new(tokenizer))),
        Err(message) => (message, std::ptr::null_mut()),
    };
    unsafe { write_out(out, text) };
    tokenizer
}

/// # Safety
/// `tokenizer` came from `sb_tokenizer_new` and is not freed, or is null.
#[no_mangle]
pub unsafe extern "C" fn sb_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        let _ = guard(|| drop(unsafe { Box::from_raw(tokenizer) }));
    }
}

/// # Safety
/// `tokenizer` came from `sb_tokenizer_new`; `text` is readable; `out` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_tokenizer_ends(tokenizer: *const Tokenizer, text: Str, control: i32, out: *mut Buf) -> i32 {
    let ends = guard(|| {
        let text = unsafe { text.text() }.ok().filter(|text| u32::try_from(text.len()).is_ok())?;
        let ends = unsafe { tokenizer.as_ref() }?.ends(text, control != 0);
        Some(ends.into_iter().flat_map(u32::to_ne_bytes).collect::<Vec<u8>>())
    });
    match ends {
        Ok(Some(ends)) => {
            unsafe { write_out_bytes(out, ends) };
            0
        }
        _ => 1,
    }
}
