use crate::memory_management::{retrieve_result, store_result};
use sabir::args;

#[test]
fn gives_back_what_was_stored() {
    let kept = args! { words: 3, text: "Été" };
    assert!(store_result(&kept, "a test in Rust").unwrap() >= 1);
    assert_eq!(retrieve_result("a test in Rust").unwrap(), Some(kept));
}

#[test]
fn gives_none_for_an_unknown_name() {
    assert_eq!(retrieve_result("nothing was stored here").unwrap(), None);
}
