//! The engine's Rust part behind the C ABI of `engine/bridge/include/sabir/bridge/bridge.h`: JSON Schema, source parsing,
//! Jinja2, tokens, XML, SHA-256, archives and JSON Web Tokens. SQLite is compiled in and used from C++ through its own header.
//!
//! Nothing here unwinds into C++: every entry point runs inside [`guard`], which turns a panic into a value.

mod archive;
mod digest;
mod expression;
mod gguf;
mod junit;
mod jwt;
mod pattern;
mod ruby_grammar;
mod schema;
mod templates;
mod tokens;
mod tree;
mod xml;

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

// Keeps SQLite's objects in the static library.
use libsqlite3_sys as sqlite;

/// Borrowed bytes of the caller; valid for the length of the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    data: *const u8,
    size: usize,
}

impl Str {
    pub fn from_static(text: &'static str) -> Self {
        Str { data: text.as_ptr(), size: text.len() }
    }

    /// # Safety
    /// `data` points at `size` readable bytes, or is null.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.data.is_null() || self.size == 0 {
            return &[];
        }
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }

    /// # Safety
    /// As [`Str::bytes`].
    pub unsafe fn text<'a>(self) -> Result<&'a str, String> {
        std::str::from_utf8(unsafe { self.bytes() })
            .map_err(|error| format!("not valid UTF-8 at byte {}", error.valid_up_to()))
    }
}

/// Bytes that the caller frees with `sb_free`.
#[repr(C)]
pub struct Buf {
    data: *mut u8,
    size: usize,
}

impl Buf {
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut bytes = bytes.into_boxed_slice();
        let buf = Buf { data: bytes.as_mut_ptr(), size: bytes.len() };
        if bytes.is_empty() {
            return Buf { data: std::ptr::null_mut(), size: 0 };
        }
        std::mem::forget(bytes);
        buf
    }
}

/// # Safety
/// `out` is null or writable.
pub(crate) unsafe fn write_out(out: *mut Buf, text: String) {
    unsafe { write_out_bytes(out, text.into_bytes()) };
}

/// # Safety
/// As [`write_out`].
pub(crate) unsafe fn write_out_bytes(out: *mut Buf, bytes: Vec<u8>) {
    if !out.is_null() {
        unsafe { out.write(Buf::new(bytes)) };
    }
}

pub(crate) fn message_json(message: &str) -> String {
    serde_json::json!({ "message": message }).to_string()
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `body`; a panic becomes Err with its text and place.
pub(crate) fn guard<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let text = info.to_string().replace('\n', " ");
            let _ = LAST_PANIC.try_with(|last| *last.borrow_mut() = text);
        }));
    });
    panic::catch_unwind(AssertUnwindSafe(body))
        .map_err(|_| LAST_PANIC.with(|last| format!("internal error: {}", std::mem::take(&mut *last.borrow_mut()))))
}

/// # Safety
/// `buffer` came from this library and was not freed before.
#[no_mangle]
pub unsafe extern "C" fn sb_free(buffer: Buf) {
    if !buffer.data.is_null() {
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(buffer.data, buffer.size)) });
    }
}

/// The version of the SQLite that is compiled in, for tests; also what keeps it linked.
#[no_mangle]
pub extern "C" fn sb_sqlite_version_number() -> i32 {
    unsafe { sqlite::sqlite3_libversion_number() }
}
