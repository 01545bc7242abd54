-- Requires what is not there.
local sabir = require("sabir")
local missing = require("sabir_no_such_module")

function never() return missing, sabir end
