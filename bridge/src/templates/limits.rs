//! What one rendering may use up. Steps are counted by minijinja's fuel; work is counted here: a byte of text that a helper
//! makes is one unit, an item that it visits several. Both are the same on every machine, as seconds would not be.
//!
//! One rendering runs on one thread, so the account is the thread's.

use minijinja::{Error, ErrorKind};
use std::cell::Cell;

/// Units of work for each step of fuel: 16 million for a prompt.
const WORK: u64 = 16;
const ITEM: u64 = 32;
const CALL: u64 = 128;
pub const MACRO_CALL: usize = 600;
pub const INCLUDE: usize = 1500;
/// Lists, tuples and objects within each other.
pub const NESTING: u32 = 100;
/// A rendered prompt's bytes.
const OUTPUT: usize = 4 << 20;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static SPENT: Cell<bool> = const { Cell::new(false) };
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Without fuel there is no limit but that of depth.
pub fn begin(fuel: u64) {
    LEFT.set(if fuel == 0 { u64::MAX / 2 } else { fuel.saturating_mul(WORK) });
    SPENT.set(false);
    DEPTH.set(0);
}

/// The bytes that a template may write: more where more steps are granted than a prompt has.
pub fn most_output(fuel: u64) -> usize {
    if fuel == 0 {
        return usize::MAX;
    }
    usize::try_from(fuel.saturating_mul(4)).unwrap_or(usize::MAX).max(OUTPUT)
}

/// Whether the work ran out, even where no error could say so.
pub fn is_spent() -> bool {
    SPENT.get()
}

pub const TOO_MUCH: &str = "the template makes too much text or too many values; a loop or a repetition may be endless";

pub fn too_much() -> Error {
    Error::new(ErrorKind::OutOfFuel, TOO_MUCH)
}

pub fn affords(units: u64) -> bool {
    match LEFT.get().checked_sub(units) {
        Some(left) => LEFT.set(left),
        None => {
            LEFT.set(0);
            SPENT.set(true);
        }
    }
    !SPENT.get()
}

/// Before a helper, a filter, a test or a method does its work.
pub fn call() -> Result<(), Error> {
    if affords(CALL) {
        Ok(())
    } else {
        Err(too_much())
    }
}

/// Before `bytes` of text are made.
pub fn text(bytes: usize) -> Result<(), Error> {
    if affords(bytes as u64) {
        Ok(())
    } else {
        Err(too_much())
    }
}

/// Before `count` items are visited or kept.
pub fn items(count: usize) -> Result<(), Error> {
    if affords((count as u64).saturating_mul(ITEM)) {
        Ok(())
    } else {
        Err(too_much())
    }
}

pub fn affords_items(count: usize) -> bool {
    affords((count as u64).saturating_mul(ITEM))
}

/// Goes one level deeper into values; None when that is too deep.
pub fn deeper<T>(body: impl FnOnce() -> T) -> Option<T> {
    let depth = DEPTH.get();
    if depth >= NESTING {
        return None;
    }
    DEPTH.set(depth + 1);
    let result = body();
    DEPTH.set(depth);
    Some(result)
}
