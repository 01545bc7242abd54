-- What the conformance runner calls. conformance/README.md describes each function.
local sabir = require("sabir")

function echo(value) return value end

function subtract(a, b) return a - b end


-- Lua's way of naming arguments is a table; the engine's `scale` and `options` are parameters of those names.
---@param b? any
---@param scale? any
---@param options? any
function describe(a, b, scale, options, ...)
  return {a = a, b = b or 10, rest = sabir.array({...}), scale = scale or 1, options = options or sabir.object()}
end

function context_user(greeting, context) return greeting .. " " .. context.user end

function context_fields(context) return context end

function fail(message)
  sabir.error("TesteeError", message) -- conformance: fail
end

function not_a_number() return {list = {1, 0 / 0}} end

function unfit() return print end

---@stream integer
function count(n)
  for i = 0, n - 1 do coroutine.yield(i) end
end

function text_of(size) return ("é"):rep(size // 2) .. (size % 2 == 1 and "x" or "") end

function bytes_of(size)
  local all = {}
  for i = 0, 255 do all[#all + 1] = string.char(i) end
  return sabir.bytes(table.concat(all):rep(size // 256 + 1):sub(1, size))
end

function length(value)
  if type(value) == "table" then return #value.data end
  return utf8.len(value)
end

function kind(value)
  if type(value) == "table" and getmetatable(value) == sabir.json.bytes then return "bytes" end
  return type(value) == "string" and "text" or "other"
end

function print_line(text)
  print(text)
  io.stderr:write(text, "\n")
  return text
end

-- Waits without talking to the engine.
function sleep(milliseconds)
  os.execute(("sleep %.3f"):format(milliseconds / 1000))
  return milliseconds
end

function call_engine(address, arguments) return sabir.call(address, arguments) end

function call_engine_caught(address)
  local good, answer = pcall(sabir.call, address)
  if good then return {value = answer} end
  return {type = answer.type, message = answer.message}
end

function report(message)
  sabir.progress(1, 2, message)
  sabir.log(message)
  return message
end

local ran = 0

function count_run()
  ran = ran + 1
  return ran
end

function runs() return ran end

function structured() return {point = {x = 1.5, y = 2}, colour = "red"} end
