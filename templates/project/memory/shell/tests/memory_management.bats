setup() {
  source "${SABIR_SDK:-$(sabir sdk path shell)}/sabir.sh"
  source "$BATS_TEST_DIRNAME/../memory_management.sh"
}

@test "gives back what was stored" {
  [ "$(store_result '{"words":3}' shell_test)" -ge 1 ]
  [ "$(retrieve_result shell_test)" = '{"words":3}' ]
}

@test "gives null for an unknown name" {
  [ "$(retrieve_result nothing_was_stored_here)" = null ]
}
