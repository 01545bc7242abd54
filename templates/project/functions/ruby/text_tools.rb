# frozen_string_literal: true

# The words of a text, without punctuation, in their order.
#
# @param text [String] any text
# @return [Array<String>] the words
# @effect read
def words(text)
  text.scan(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/)
end

# How many letters each word of a text has.
#
# @param text [String] any text
# @return [Array<Integer>] the lengths, in the words' order
# @effect read
def word_lengths(text)
  words(text).map(&:length)
end
