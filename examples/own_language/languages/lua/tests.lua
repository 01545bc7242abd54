-- Runs test files: tests.lua REPORT FILE…. Each global function `test_…` of a file is a test; `load_functions(path)` gives the
-- functions of a source. Writes JUnit XML.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. here .. "/sdk/?.lua;" .. package.path

local function escaped(text)
  return (tostring(text):gsub('[<>&"]', {["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;"}):gsub("[%z\1-\8\11\12\14-\31]", "?"))
end

local function load_functions(path)
  local world = setmetatable({}, {__index = _G})
  local result = assert(loadfile(path, "t", world))()
  return setmetatable(world, {__index = function(_, name) return type(result) == "table" and result[name] or _G[name] end})
end

local cases, failed = {}, 0
local function add(file, name, line, seconds, why)
  if why then failed = failed + 1 end
  local group = file:match("([^/]*)%.lua$") or file
  cases[#cases + 1] = ('<testcase classname="%s" name="%s" time="%.6f" file="%s" line="%d">'):format(escaped(group), escaped(name), seconds, escaped(file), line) ..
    (why and ('<failure message="%s">%s</failure>'):format(escaped(why:match("^[^\n]*")), escaped(why)) or "") .. "</testcase>"
end

for i = 2, #arg do
  local file = arg[i]
  local world = setmetatable({load_functions = load_functions}, {__index = _G})
  local chunk, why = loadfile(file, "t", world)
  if chunk then
    local good, raised = xpcall(chunk, debug.traceback)
    if not good then chunk, why = nil, raised end
  end
  if not chunk then
    add(file, "it loads", tonumber(tostring(why):match(":(%d+):")) or 1, 0, tostring(why))
  else
    local tests = {}
    for name, call in pairs(world) do
      if type(call) == "function" and name:match("^test") then tests[#tests + 1] = {name = name, call = call, line = debug.getinfo(call, "S").linedefined} end
    end
    table.sort(tests, function(a, b) return a.line < b.line end)
    for _, test in ipairs(tests) do
      local began = os.clock()
      local good, raised = xpcall(test.call, function(what) return debug.traceback(tostring(what), 2) end)
      add(file, test.name, test.line, os.clock() - began, not good and raised or nil)
    end
  end
end

local report = assert(io.open(arg[1], "w"))
report:write('<testsuite name="lua" tests="', #cases, '" failures="', failed, '">', table.concat(cases, "\n"), "</testsuite>\n")
report:close()
os.exit(failed == 0)
