//! Tokens of byte-level encodings: OpenAI's here, whose ranks are those of tiktoken, and those of GGUF files (gguf.rs). A text
//! is cut into pieces and each piece merged, in time that grows with the text and little more, whatever the text is. What looks
//! like a special token is text.

use crate::{guard, write_out_bytes, Buf, Str};
use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::OnceLock;
use tiktoken_rs::{cl100k_base, o200k_base, CoreBPE};

/// The pieces of a text, before anything is merged. Of a run of white space that something follows, the second pattern leaves
/// the last character to what follows: it matches that one too, which is then given back.
pub(crate) type Patterns = [&'static str; 3];
const GIVES_BACK: usize = 1;

const CL100K: Patterns = [
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$|\s*[\r\n]",
    r"\s+\s",
    r"\s",
];
const O200K: Patterns = [
    concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+$",
    ),
    r"\s+\s",
    r"\s+",
];
// As llama.cpp has them: contractions in ASCII alone.
pub(crate) const QWEN2: Patterns = [
    concat!(
        r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+$",
    ),
    r"\s+\s",
    r"\s+",
];
pub(crate) const QWEN35: Patterns = [
    concat!(
        r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|",
        r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+$",
    ),
    r"\s+\s",
    r"\s+",
];
pub(crate) const LLAMA3: Patterns = [
    concat!(
        r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+$",
    ),
    r"\s+\s",
    r"\s+",
];
pub(crate) const NONE: u32 = u32::MAX;

/// What is merged with what.
pub(crate) trait Ranks {
    fn byte(&self, byte: u8) -> u32;
    /// The rank of a pair of neighbours, the lowest of which is merged first, and the token that it becomes. `bytes` are theirs.
    fn pair(&self, left: u32, right: u32, bytes: &[u8]) -> Option<(u32, u32)>;
    /// The token of a piece that need not be merged.
    fn whole(&self, piece: &[u8]) -> Option<u32>;
}

pub(crate) struct Cutter {
    pieces: Regex,
}

impl Cutter {
    pub(crate) fn new(patterns: &Patterns) -> Self {
        Cutter { pieces: Regex::new_many(patterns).expect("the patterns are right") }
    }

    /// Where each token of `text` ends, `offset` bytes further on.
    pub(crate) fn ends(&self, ranks: &impl Ranks, text: &str, offset: u32, ends: &mut Vec<u32>) {
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let found = self.pieces.find(Input::new(rest).anchored(Anchored::Yes));
            let mut length = found.as_ref().map_or(rest.len(), |found| found.end());
            if found.is_some_and(|found| found.pattern().as_usize() == GIVES_BACK) {
                length -= rest[..length].chars().next_back().map_or(0, char::len_utf8);
            }
            merge(ranks, &rest.as_bytes()[..length], offset + at as u32, ends);
            at += length;
        }
    }
}

/// Merges the pair of neighbours of the lowest rank, the first of several, until no pair has one.
fn merge(ranks: &impl Ranks, piece: &[u8], offset: u32, ends: &mut Vec<u32>) {
    let length = piece.len();
    if length == 1 || ranks.whole(piece).is_some() {
        return ends.push(offset + length as u32);
    }
    // The parts by where they begin: the token of each, where it ends, and the part before it. A part that was merged away ends
    // nowhere.
    let mut token: Vec<u32> = piece.iter().map(|byte| ranks.byte(*byte)).collect();
    let mut end: Vec<u32> = (1..=length as u32).collect();
    let mut before: Vec<u32> = (0..length as u32).map(|at| at.wrapping_sub(1)).collect();
    let mut pairs = BinaryHeap::new();
    let pair = |start: u32, end: &[u32], token: &[u32]| -> Option<Reverse<(u32, u32, u32, u32)>> {
        let middle = *end.get(start as usize)?;
        let stop = *end.get(middle as usize)?;
        let (rank, merged) = ranks.pair(token[start as usize], token[middle as usize], &piece[start as usize..stop as usize])?;
        Some(Reverse((rank, start, stop, merged)))
    };
    pairs.extend((0..length as u32).filter_map(|start| pair(start, &end, &token)));
    while let Some(Reverse((_, start, stop, merged))) = pairs.pop() {
        // What has changed since then is in there anew.
        let middle = end[start as usize];
        if middle == NONE || middle as usize >= length || end[middle as usize] != stop {
            continue;
        }
        token[start as usize] = merged;
        end[start as usize] = stop;
        end[middle as usize] = NONE;
        if (stop as usize) < length {
            before[stop as usize] = start;
        }
        pairs.extend(pair(start, &end, &token));
        if before[start as usize] != NONE {
            pairs.extend(pair(before[start as usize], &end, &token));
        }
    }
    let mut at = 0;
    while at < length {
        at = end[at] as usize;
        ends.push(offset + at as u32);
    }
}

struct Encoding {
    cutter: Cutter,
    ranks: FxHashMap<Box<[u8]>, u32>,
}

/// A token is its own rank.
impl Ranks for FxHashMap<Box<[u8]>, u32> {
    fn byte(&self, _: u8) -> u32 {
        NONE
    }
    fn pair(&self, _: u32, _: u32, bytes: &[u8]) -> Option<(u32, u32)> {
        self.get(bytes).map(|rank| (*rank, *rank))
    }
    fn whole(&self, piece: &[u8]) -> Option<u32> {
        self.get(piece).copied()
    }
}

impl Encoding {
    fn new(core: &CoreBPE, patterns: &Patterns) -> Self {
        let mut ranks = FxHashMap::default();
        for rank in 0.. {
            let Ok(bytes) = core.decode_bytes(&[rank]) else { break };
            ranks.insert(bytes.into_boxed_slice(), rank);
        }
        Encoding { cutter: Cutter::new(patterns), ranks }
    }

    fn named(name: &str) -> Option<&'static Encoding> {
        static CL100K_BASE: OnceLock<Encoding> = OnceLock::new();
        static O200K_BASE: OnceLock<Encoding> = OnceLock::new();
        let known = "the ranks are bundled";
        match name {
            "cl100k_base" => Some(CL100K_BASE.get_or_init(|| Encoding::new(&cl100k_base().expect(known), &CL100K))),
            "o200k_base" => Some(O200K_BASE.get_or_init(|| Encoding::new(&o200k_base().expect(known), &O200K))),
            _ => None,
        }
    }

    fn ends(&self, text: &str) -> Vec<u32> {
        let mut ends = Vec::with_capacity(text.len() / 4 + 1);
        self.cutter.ends(&self.ranks, text, 0, &mut ends);
        ends
    }
}

/// # Safety
/// `encoding` and `text` are readable; `out` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_tokens(encoding: Str, text: Str, out: *mut Buf) -> i32 {
    let ends = guard(|| {
        let text = unsafe { text.text() }.ok().filter(|text| u32::try_from(text.len()).is_ok())?;
        let encoding = Encoding::named(unsafe { encoding.text() }.ok()?)?;
        Some(encoding.ends(text).into_iter().flat_map(u32::to_ne_bytes).collect::<Vec<u8>>())
    });
    match ends {
        Ok(Some(ends)) => {
            unsafe { write_out_bytes(out, ends) };
            0
        }
        _ => 1,
    }
}
