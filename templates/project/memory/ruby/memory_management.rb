# frozen_string_literal: true

require "sabir"

# Keeps a result under a name, in place of the one that was there. Python and C++ read it too.
#
# @param result [Object] anything that JSON can hold
# @param name [String] what to ask for it by
# @return [Integer] the result's version: 1 for the first of that name, then 2, and so on
def store_result(result, name = "latest")
  Sabir.memory.put("results/#{name}", result)
end

# Gives back the result that was last stored under a name, or nothing if there is none.
#
# @param name [String] the name it was stored under
# @effect read
def retrieve_result(name = "latest")
  Sabir.memory.get("results/#{name}")
end
