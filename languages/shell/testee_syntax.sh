never() {
  if true; then
    echo "a block that never ends"
}
