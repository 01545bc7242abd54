# frozen_string_literal: true

require "sabir"

# An assistant that needs no model: it answers from the project's memory, whatever language put the result there.
# Talk to it: sabir chat archivist latest

INSTRUCTIONS = "Answers with the result that is stored under the name in the message."

# @param message [String] the name of a result
# @return [String] the answer
def respond(message, _context)
  name = message.strip
  result = Sabir.memory.get("results/#{name}")
  result.nil? ? "Nothing is stored under #{name}." : "#{name}: #{result}"
end
