//! Streaming SHA-256.

use crate::{guard, Str};
use sha2::{Digest, Sha256};

#[no_mangle]
pub extern "C" fn sb_sha256_new() -> *mut Sha256 {
    guard(|| Box::into_raw(Box::new(Sha256::new()))).unwrap_or(std::ptr::null_mut())
}

/// # Safety
/// `state` came from `sb_sha256_new` and is not finished.
#[no_mangle]
pub unsafe extern "C" fn sb_sha256_update(state: *mut Sha256, bytes: Str) {
    let _ = guard(|| {
        if let Some(state) = unsafe { state.as_mut() } {
            state.update(unsafe { bytes.bytes() });
        }
    });
}

/// # Safety
/// `state` came from `sb_sha256_new` and is not finished; `out` has room for 64 bytes.
#[no_mangle]
pub unsafe extern "C" fn sb_sha256_finish(state: *mut Sha256, out: *mut u8) {
    let _ = guard(|| {
        if state.is_null() {
            return;
        }
        let digest = unsafe { Box::from_raw(state) }.finalize();
        for (index, byte) in digest.iter().enumerate() {
            for (offset, nibble) in [byte >> 4, byte & 15].into_iter().enumerate() {
                unsafe { out.add(index * 2 + offset).write(b"0123456789abcdef"[nibble as usize]) };
            }
        }
    });
}
