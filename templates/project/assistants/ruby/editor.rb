# frozen_string_literal: true

# An assistant that helps with titles and texts.
# Talk to it: sabir chat editor "Which address suits the title 'Été à Paris'?"

INSTRUCTIONS = <<~TEXT
  You help people who publish texts on the web. Call slugify for the address that suits a title, and
  text_tools.word_lengths for the lengths of a text's words. Answer in one short sentence.
TEXT

FUNCTIONS = %w[slugify text_tools.word_lengths].freeze

MAX_STEPS = 4
