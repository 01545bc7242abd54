//! Regular expressions whose search takes time that grows with the text and no stack, whatever the pattern.

use crate::{guard, write_out, Buf, Str};
use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

const MOST_BYTES: usize = 10 << 20; // of a compiled pattern

/// # Safety
/// `pattern` is readable; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_pattern_new(pattern: Str, ignore_case: i32, error: *mut Buf) -> *mut Regex {
    let made = guard(|| {
        let text = unsafe { pattern.text() }?;
        Regex::builder()
            .configure(Config::new().nfa_size_limit(Some(MOST_BYTES)))
            .syntax(syntax::Config::new().case_insensitive(ignore_case != 0))
            .build(text)
            .map_err(|error| match error.syntax_error() {
                Some(error) => error.to_string(),
                None => error.to_string(),
            })
    })
    .and_then(|made| made);
    match made {
        Ok(regex) => Box::into_raw(Box::new(regex)),
        Err(message) => {
            unsafe { write_out(error, message) };
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// `pattern` came from `sb_pattern_new` and is not freed, or is null.
#[no_mangle]
pub unsafe extern "C" fn sb_pattern_free(pattern: *mut Regex) {
    if !pattern.is_null() {
        let _ = guard(|| drop(unsafe { Box::from_raw(pattern) }));
    }
}

/// # Safety
/// `pattern` came from `sb_pattern_new`; `text` is readable; `bounds` has room for `most` pairs.
#[no_mangle]
pub unsafe extern "C" fn sb_pattern_search(pattern: *const Regex, text: Str, bounds: *mut usize, most: usize) -> usize {
    guard(|| {
        let (Some(pattern), Ok(text)) = (unsafe { pattern.as_ref() }, unsafe { text.text() }) else { return 0 };
        let mut found = pattern.create_captures();
        pattern.captures(text, &mut found);
        if !found.is_match() {
            return 0;
        }
        let groups = found.group_len().min(most);
        for group in 0..groups {
            let (start, end) = found.get_group(group).map_or((0, 0), |span| (span.start, span.end));
            unsafe {
                *bounds.add(2 * group) = start;
                *bounds.add(2 * group + 1) = end;
            }
        }
        groups
    })
    .unwrap_or(0)
}
