-- Reads the files that standard input names and says what they offer (spec/describe.md). Runs none of them.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. here .. "/sdk/?.lua;" .. package.path

local json = require("sabir_json")
local reader = require("reader")

local asked, why = json.decode(io.read("a"))
if not asked or not asked.files then
  io.stderr:write("describe.lua reads {\"version\": 1, \"files\": […]}: ", why or "there are no files", "\n")
  os.exit(2)
end
local answers = setmetatable({}, json.array)
for _, file in ipairs(asked.files) do
  local good, answer = pcall(reader.read, file.source)
  if not good then answer = setmetatable({error = setmetatable({message = "it cannot be read: " .. tostring(answer), line = 0, column = 0}, json.object)}, json.object) end
  answer.path = file.path
  answers[#answers + 1] = answer
end
io.write(json.encode(setmetatable({version = 1, files = answers}, json.object)), "\n")
