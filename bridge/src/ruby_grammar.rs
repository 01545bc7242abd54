//! tree-sitter-ruby, with a scanner whose saved state can always be restored.
//!
//! The grammar's own scanner saves the length of a here-document's word in one byte and then restores another state than
//! it saved, which fails an assertion and ends the process; it may also write one byte past the parser's buffer. Any
//! source with a word of 256 characters does that. Here such a state is not saved, as the scanner itself does with one that
//! is too large: the parse goes on and reports an error.

use std::os::raw::{c_char, c_uint, c_void};
use std::sync::OnceLock;
use tree_sitter::Language;

const ABI: u32 = 14;
const MOST_STATE: usize = 1024; // TREE_SITTER_SERIALIZATION_BUFFER_SIZE

type Serialize = unsafe extern "C" fn(*mut c_void, *mut c_char) -> c_uint;

extern "C" {
    fn tree_sitter_ruby_external_scanner_serialize(scanner: *mut c_void, buffer: *mut c_char) -> c_uint;
}

/// TSLanguage of the grammar's own src/tree_sitter/parser.h; only what changes has a name.
#[repr(C)]
#[derive(Clone, Copy)]
struct Grammar {
    abi: u32,
    counts: [u32; 8],
    max_alias_sequence_length: u16,
    tables: [*const c_void; 15],
    keyword_capture_token: u16,
    scanner: [*const c_void; 5], // states, symbol_map, create, destroy, scan
    serialize: Serialize,
    deserialize: *const c_void,
    primary_state_ids: *const c_void,
}

// Constant tables and functions.
unsafe impl Send for Grammar {}
unsafe impl Sync for Grammar {}

/// Whether the scanner reads exactly these bytes when it restores them.
fn restorable(state: &[u8]) -> bool {
    let Some(&literals) = state.first() else { return true };
    let mut at = 1 + usize::from(literals) * 5;
    let Some(&heredocs) = state.get(at) else { return false };
    at += 1;
    for _ in 0..heredocs {
        let Some(&word) = state.get(at + 3) else { return false };
        at += 4 + usize::from(word);
    }
    at == state.len()
}

unsafe extern "C" fn serialize(scanner: *mut c_void, buffer: *mut c_char) -> c_uint {
    let mut state = [0u8; 2 * MOST_STATE];
    let size = tree_sitter_ruby_external_scanner_serialize(scanner, state.as_mut_ptr().cast()) as usize;
    if size > MOST_STATE || !restorable(&state[..size]) {
        return 0;
    }
    std::ptr::copy_nonoverlapping(state.as_ptr(), buffer.cast(), size);
    size as c_uint
}

pub fn language() -> Language {
    static GRAMMAR: OnceLock<Grammar> = OnceLock::new();
    let grammar = GRAMMAR.get_or_init(|| {
        // SAFETY: the version and the function at its place say that the layout is the one above.
        unsafe {
            let own = tree_sitter_ruby::LANGUAGE.into_raw()().cast::<Grammar>();
            assert!((*own).abi == ABI, "tree-sitter-ruby has another ABI than {ABI}");
            let mut grammar = *own;
            let scanners: Serialize = tree_sitter_ruby_external_scanner_serialize;
            assert!(grammar.serialize as usize == scanners as usize, "TSLanguage is laid out in another way");
            grammar.serialize = serialize;
            grammar
        }
    });
    // SAFETY: it lives as long as the process.
    unsafe { Language::from_raw(std::ptr::from_ref(grammar).cast()) }
}
