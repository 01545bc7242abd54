# A file whose require fails on line 3.

require "sabir_no_such_library"

def never
  1
end
