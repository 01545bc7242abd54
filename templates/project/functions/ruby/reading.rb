# frozen_string_literal: true

require "sabir"

# The average length of a text's words, computed by the C++ function stats.mean. The first call may wait for the C++
# compiler, hence the long timeout.
#
# @param text [String] a text with at least one word
# @return [Float] letters per word
# @effect read
# @timeout 5m
def average_word_length(text)
  lengths = Sabir.call("text_tools.word_lengths", text: text)
  Sabir.call("stats.mean", values: lengths)
end
