-- Serves a project's Lua functions to the engine (spec/worker-protocol.md): worker.lua, with SABIR_FD naming two pipes. Calls
-- run one at a time, in the order of their arrival, each as a coroutine: what it yields is streamed.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. here .. "/sdk/?.lua;" .. package.path

local json = require("sabir_json")
local sabir = require("sabir")
local reader = require("reader")

local most_bytes, most_blobs, most_head = 67108864, 1024, 16384

local input_number, output_number = (os.getenv("SABIR_FD") or ""):match("^(%d+),(%d+)$")
if not input_number then
  io.stderr:write("sabir: the Lua worker is started by the engine, over two pipes\n")
  os.exit(2)
end
local input = assert(io.open("/dev/fd/" .. input_number, "rb"))
local output = assert(io.open("/dev/fd/" .. output_number, "wb"))
output:setvbuf("full", 65536)
-- What functions print is log text, line by line.
io.stdout:setvbuf("line")

-- ---- frames -------------------------------------------------------------------------------------------------------------

local function send(text, blobs)
  local head = {tostring(#text)}
  for _, blob in ipairs(blobs or {}) do head[#head + 1] = tostring(#blob) end
  output:write(table.concat(head, " "), "\n", text)
  for _, blob in ipairs(blobs or {}) do output:write(blob) end
  output:flush()
end

local function answer(id, result, blobs)
  send('{"jsonrpc":"2.0","id":' .. id .. ',"result":' .. result .. "}", blobs)
end

local function refuse(id, code, kind, message, data)
  data = data or {}
  data.type = kind
  if not json.is_text(message) then message = message:gsub("[\128-\255]", "?") end
  send('{"jsonrpc":"2.0","id":' .. id .. ',"error":{"code":' .. code .. ',"message":' .. json.quote(message) .. ',"data":' ..
    json.encode(setmetatable(data, json.object)) .. "}}")
end

-- The lengths of a head line; nil at the end of the connection, false where it is malformed.
local function read_head()
  local line = {}
  while true do
    local byte = input:read(1)
    if not byte then return nil end
    if byte == "\n" then break end
    line[#line + 1] = byte
    if #line > most_head then return false end
  end
  local text, lengths, sum = table.concat(line), {}, 0
  for number, after in text:gmatch("(%d+)( ?)") do
    if #number > 9 or (#number > 1 and number:sub(1, 1) == "0") then return false end
    lengths[#lengths + 1] = math.tointeger(tonumber(number))
    sum = sum + lengths[#lengths]
  end
  -- Written anew it is the same, or it had signs, blanks or letters.
  if #lengths == 0 or table.concat(lengths, " ") ~= text or sum > most_bytes or #lengths > most_blobs + 1 then return false end
  return lengths
end

local function leave(status)
  output:flush()
  os.exit(status, true)
end

-- The next message and its blobs. Ends the worker with its connection.
local function receive()
  while true do
    local lengths = read_head()
    if lengths == nil then leave(0) end
    if lengths == false then
      refuse("null", -32600, "protocol", "the frame's head is malformed or too large")
      leave(1)
    end
    local parts = {}
    for i, length in ipairs(lengths) do
      parts[i] = length == 0 and "" or input:read(length)
      if not parts[i] or #parts[i] < length then leave(0) end
    end
    local message, why = json.decode(parts[1])
    if message == nil then
      refuse("null", -32700, "protocol", "no JSON: " .. why)
    elseif getmetatable(message) ~= json.object or message.jsonrpc ~= "2.0" or (message.method ~= nil and type(message.method) ~= "string") or
        (message.method == nil and message.result == nil and message.error == nil) then
      refuse("null", -32600, "protocol", "no JSON-RPC 2.0 object")
    else
      table.remove(parts, 1)
      return message, parts
    end
  end
end

-- ---- blobs --------------------------------------------------------------------------------------------------------------

-- Puts the blobs where their pointers lead; the reason where a list is wrong.
local function place_blobs(params, list, blobs)
  if list == nil and #blobs == 0 then return end
  if getmetatable(list) ~= json.array or #list ~= #blobs then return "the list of blobs does not fit the frame's " .. #blobs end
  for i, entry in ipairs(list) do
    if getmetatable(entry) ~= json.object or type(entry.at) ~= "string" or (entry.type ~= "string" and entry.type ~= "bytes") then
      return "entry " .. i .. " of the blobs is none"
    end
    if entry.type == "string" and not json.is_text(blobs[i]) then return "the text at " .. entry.at .. " is not UTF-8" end
    if entry.at:sub(1, 1) ~= "/" then return "the blob's place '" .. entry.at .. "' is none" end
    local tokens = {}
    for token in (entry.at:sub(2) .. "/"):gmatch("([^/]*)/") do tokens[#tokens + 1] = token:gsub("~1", "/"):gsub("~0", "~") end
    local at = params
    for n = 1, #tokens do
      local key = tokens[n]
      if getmetatable(at) == json.array and key:match("^%d+$") then key = tonumber(key) + 1 elseif getmetatable(at) ~= json.object then at = nil end
      if at == nil then break end
      if n == #tokens then
        if at[key] == json.null then
          at[key] = entry.type == "bytes" and sabir.bytes(blobs[i]) or blobs[i]
          tokens = nil
          break
        end
      else
        at = at[key]
      end
    end
    if tokens then return "the blob's place '" .. entry.at .. "' leads to no null" end
  end
end

-- JSON text, the `"blobs"` member that belongs to it, and the blobs.
local function pack(value, prefix)
  local places, blobs = {}, {}
  local text = json.encode(value, prefix, function(at, kind, data)
    places[#places + 1] = setmetatable({at = at, type = kind}, json.object)
    blobs[#blobs + 1] = data
  end)
  return text, #places > 0 and ',"blobs":' .. json.encode(setmetatable(places, json.array)) or "", blobs
end

-- ---- what runs ----------------------------------------------------------------------------------------------------------

local queue = {}             -- {message, blobs} in order
local running                -- the id of the call that runs, as JSON text
local cancelled = false
local next_request = 1
local files = {}             -- path -> {functions, schemas}

local function id_of(message) return json.encode(message.id) end

local function cancel(params)
  local id = getmetatable(params) == json.object and params.id ~= nil and json.encode(params.id)
  if id and id == running then
    cancelled = true
    return
  end
  for i, entry in ipairs(queue) do
    if entry[1].method == "call" and id_of(entry[1]) == id then
      table.remove(queue, i)
      refuse(id, -32000, "cancelled", "the call was cancelled before it ran", {reason = params.reason})
      return
    end
  end
end

-- Everything but calls and drain, which keep their order.
local function other(message, blobs)
  if message.method == nil then return end        -- an answer that nobody waits for
  if message.id == nil then
    if message.method == "cancel" then cancel(message.params) end
    return
  end
  local id, method, params = id_of(message), message.method, message.params
  if method == "call" or method == "drain" then
    queue[#queue + 1] = {message, blobs}
  elseif method == "ping" then
    answer(id, "{}")
  elseif method == "start" then
    answer(id, "{}")
  elseif method == "hello" then
    local versions = getmetatable(params) == json.object and params.protocol
    if getmetatable(versions) ~= json.object or math.type(versions.min) ~= "integer" or math.type(versions.max) ~= "integer" then
      refuse(id, -32602, "invalid_arguments", "hello needs protocol.min and protocol.max")
    elseif versions.min > 1 or versions.max < 1 then
      refuse(id, -32001, "protocol", "this worker speaks protocol 1")
      leave(1)
    else
      answer(id, '{"protocol":1,"language":"lua","runtime":"' .. _VERSION:gsub("Lua ", "") ..
        '","sdk":"0.1.0","capabilities":{"blobs":true,"chunks":true,"cancel":false}}')
    end
  else
    refuse(id, -32601, "unknown_method", "unknown method " .. method)
  end
end

-- A request to the engine on behalf of the running call; other messages are taken meanwhile.
function sabir._request(method, params)
  if not running then error("requests are there while a function runs", 3) end
  local number = next_request
  next_request = number + 1
  local text, listed, blobs = pack(setmetatable(params, json.object), "")
  text = '{"parent":' .. running .. (text == "{}" and "" or ",") .. text:sub(2, -2) .. listed .. "}"
  send('{"jsonrpc":"2.0","id":' .. number .. ',"method":"' .. method .. '","params":' .. text .. "}", blobs)
  while true do
    local message, came = receive()
    if message.method == nil and message.id == number then
      if getmetatable(message.error) == json.object then
        local data = getmetatable(message.error.data) == json.object and message.error.data or {}
        error(setmetatable({type = data.type or "internal", message = tostring(message.error.message), hint = data.hint or "", data = data}, sabir.Error), 0)
      end
      local wrong = place_blobs(message.result, getmetatable(message.result) == json.object and message.result.blobs or nil, came)
      if wrong then error(setmetatable({type = "protocol", message = wrong}, sabir.Error), 0) end
      return message.result
    end
    other(message, came)
    if cancelled then error(setmetatable({type = "cancelled", message = "the call was cancelled"}, sabir.Error), 0) end
  end
end

function sabir._notify(method, params)
  if not running then return end
  local text = json.encode(setmetatable(params, json.object))
  send('{"jsonrpc":"2.0","method":"' .. method .. '","params":{"id":' .. running .. "," .. text:sub(2) .. "}")
end

-- The line and the text of `file:3: text`; Lua shortens a long file's name to `...its end`.
local function split_place(message)
  local file, line, rest = message:match("^([^\n]-):(%d+): (.*)$")
  if file and (file:match("^[/%[]") or file:match("^%.%.%.")) then return math.tointeger(tonumber(line)), rest end
  return nil, message
end

local function load_file(path)
  if files[path] then return files[path] end
  local source = io.open(path, "rb")
  if not source then error({load = true, message = path .. " cannot be read", file = path}, 0) end
  local text = source:read("a")
  source:close()
  -- A world of its own: what one file defines is not another's.
  local world = setmetatable({}, {__index = _G})
  local chunk, why = load((text:gsub("^#[^\n]*", "")), "@" .. path, "t", world)
  if not chunk then
    local line, message = split_place(why)
    error({load = true, message = message, file = path, line = line}, 0)
  end
  local line
  local good, result = xpcall(chunk, function(raised)
    for level = 2, 50 do
      local info = debug.getinfo(level, "Sl")
      if not info then break end
      if info.source == "@" .. path then
        line = info.currentline
        break
      end
    end
    return raised
  end)
  if not good then
    local _, message = split_place(tostring(result))
    error({load = true, message = message, file = path, line = line}, 0)
  end
  local described = reader.read(text)
  local functions, results, required, generators = {}, {}, {}, {}
  for _, one in ipairs(described.functions or {}) do
    local found = rawget(world, one.name) or (type(result) == "table" and result[one.name])
    if type(found) == "function" then
      functions[one.name] = found
      results[one.name] = one.result and one.result.schema or {}
      generators[one.name] = one.generator
      required[one.name] = {}
      for _, parameter in ipairs(one.parameters) do
        if parameter.required and not parameter.context then table.insert(required[one.name], parameter.name) end
      end
    end
  end
  files[path] = {functions = functions, results = results, required = required, generators = generators}
  return files[path]
end

-- The arguments in the order of the function's parameters; raises {refused = true} for those that it cannot take.
local function bind(call, params, required)
  local info = debug.getinfo(call, "u")
  local given = {}
  if getmetatable(params.arguments) == json.object then
    for name, value in pairs(params.arguments) do given[name] = value end
  end
  for _, name in ipairs(required) do
    if given[name] == nil and name ~= params.context_parameter then error({refused = true, message = "the argument " .. name .. " is missing"}, 0) end
  end
  local values, count = {}, info.nparams
  for i = 1, info.nparams do
    local name = debug.getlocal(call, i)
    local value
    if name == params.context_parameter and name ~= "" then
      value = params.context
    else
      value = given[name]
      given[name] = nil
    end
    if value == json.null then value = nil end
    values[i] = value
  end
  if info.isvararg and params.variadic and params.variadic ~= "" then
    local rest = given[params.variadic]
    given[params.variadic] = nil
    for _, value in ipairs(getmetatable(rest) == json.array and rest or {}) do
      count = count + 1
      values[count] = value
    end
  end
  local left = next(given)
  if left then error({refused = true, message = "there is no parameter " .. left}, 0) end
  return values, count
end

-- The innermost place in the file, from the coroutine that has failed.
local function place_of(thread, path)
  for level = 0, 100 do
    local info = debug.getinfo(thread, level, "Sl")
    if not info then break end
    if info.source == "@" .. path then return info.currentline end
  end
end

local function report(id, raised, thread, path)
  local data = {file = path, line = thread and place_of(thread, path), traceback = thread and debug.traceback(thread, nil, 0) or nil}
  local kind = type(raised)
  if kind == "table" and getmetatable(raised) == sabir.Error then
    data.error_class = "SabirError"
    data.cause = setmetatable({type = raised.type, data = raised.data or setmetatable({}, json.object)}, json.object)
    return refuse(id, -32000, raised.type == "cancelled" and cancelled and "cancelled" or "function_error", raised.message, data)
  end
  local message
  if kind == "table" and (raised.message or raised.class) then
    message = tostring(raised.message or raised.class)
    data.error_class = tostring(raised.class or (getmetatable(raised) or {}).__name or "Error")
  else
    local _
    _, message = split_place(tostring(raised))
    data.error_class = "Error"
  end
  refuse(id, -32000, "function_error", message, data)
end

local function finish(id, name, schema, value)
  if type(value) == "table" and next(value) == nil and not getmetatable(value) and schema.type == "array" then value = sabir.array() end
  local good, text, listed, blobs = pcall(pack, value, "/value")
  if not good then
    if type(text) ~= "table" or not text.unfit then error(text, 0) end
    return refuse(id, -32000, "invalid_result", name .. " returned a value that JSON cannot carry: " .. text.message)
  end
  answer(id, '{"value":' .. text .. listed .. "}", blobs)
end

local function run(id, params)
  local file = load_file(params.module)
  local name = params["function"]
  local call = file.functions[name]
  if not call then return refuse(id, -32000, "unknown_function", params.module .. " has no function " .. name) end
  local values, count = bind(call, params, file.required[name])
  local thread = coroutine.create(call)
  local yielded = sabir.array()
  local streams = file.generators[name]
  local result = table.pack(coroutine.resume(thread, table.unpack(values, 1, count)))
  while result[1] and coroutine.status(thread) ~= "dead" do
    streams = true
    local good, text, listed, blobs = pcall(pack, result[2], "/value")
    if not good then
      return refuse(id, -32000, "invalid_result", name .. " yielded a value that JSON cannot carry: " .. tostring(type(text) == "table" and text.message or text))
    end
    send('{"jsonrpc":"2.0","method":"chunk","params":{"id":' .. id .. ',"value":' .. text .. listed .. "}}", blobs)
    yielded[#yielded + 1] = result[2] == nil and json.null or result[2]
    result = table.pack(coroutine.resume(thread))
  end
  if not result[1] then return report(id, result[2], thread, params.module) end
  if streams then return finish(id, name, {type = "array"}, yielded) end
  return finish(id, name, file.results[name], result[2])
end

local function call(message, blobs)
  local id, params = id_of(message), message.params
  if getmetatable(params) ~= json.object or type(params.module) ~= "string" or type(params["function"]) ~= "string" then
    return refuse(id, -32602, "invalid_arguments", "a call needs module, function and arguments")
  end
  local wrong = place_blobs(params, params.blobs, blobs)
  if wrong then return refuse(id, -32602, "invalid_arguments", wrong) end
  running, cancelled = id, false
  local good, raised = pcall(run, id, params)
  running = nil
  if good then return end
  if type(raised) == "table" and raised.load then
    return refuse(id, -32000, "load_failed", raised.message, {file = raised.file, line = raised.line})
  elseif type(raised) == "table" and raised.refused then
    return refuse(id, -32602, "invalid_arguments", raised.message)
  end
  report(id, raised, nil, params.module)
end

while true do
  while #queue == 0 do other(receive()) end
  local message, blobs = table.unpack(table.remove(queue, 1))
  if message.method == "drain" then
    answer(id_of(message), "{}")
    leave(0)
  end
  call(message, blobs)
end
