setup() {
  source "${SABIR_SDK:-$(sabir sdk path shell)}/sabir.sh"
  source "$BATS_TEST_DIRNAME/../backups.sh"
}

@test "sizes are readable" {
  [ "$(readable 0)" = "0 B" ]
  [ "$(readable 1536)" = "1.5 KB" ]
  [ "$(readable 3221225472)" = "3 GB" ]
}

@test "the oldest can go" {
  names=(b-2026-01-03 b-2026-01-01 b-2026-01-02) keep=2
  [ "$(expired)" = "b-2026-01-01" ]
}

@test "the engine calls them by their types" {
  [ "$(sabir_call backups.expired names:='["c", "a", "b"]' keep=1)" = '["a","b"]' ]
  run sabir_call backups.expired names=a keep=0
  [ "$status" -eq 1 ]
}
