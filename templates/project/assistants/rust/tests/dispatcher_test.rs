/// The model is played by tests/scripted_replies.json; the function it calls is the real one.
#[test]
fn the_dispatcher_asks_the_function() {
    let answer = sabir::ask("dispatcher", "What does it cost to send a parcel of 2 kg?", "").unwrap();
    assert!(answer.content.contains("5.0"), "{}", answer.content);
}
