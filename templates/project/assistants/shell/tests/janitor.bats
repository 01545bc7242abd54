# The model is played by tests/scripted_replies.json; the function it calls is the real one.

setup() {
  source "${SABIR_SDK:-$(sabir sdk path shell)}/sabir.sh"
}

@test "asks the function" {
  [[ $(sabir_ask janitor "How large are 1536 bytes?") == *"1.5 KB"* ]]
}
