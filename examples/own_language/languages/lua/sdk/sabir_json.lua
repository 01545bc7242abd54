-- JSON (RFC 8259) for the worker and the SDK. Numbers keep their kind: an integer of 64 bits is a Lua integer, a larger one a
-- `bigint` with all of its digits, anything else a float. null is `json.null`; arrays and objects know what they are, so that
-- an empty one is written as it came.

local json = {}

json.null = setmetatable({}, {__name = "null", __tostring = function() return "null" end})
json.array = {__name = "array"}
json.object = {__name = "object"}
json.bytes = {__name = "bytes"}    -- {data = "…"}
json.bigint = {__name = "bigint", __tostring = function(self) return self.digits end, __eq = function(a, b) return a.digits == b.digits end}

local most_depth = 256

local escapes = {['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

local function fail(text, at, what)
  error({json = true, message = what .. " at byte " .. at}, 0)
end

local value_at

local function skip(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

local function unicode(text, at)
  local hex = text:match("^%x%x%x%x", at)
  if not hex then fail(text, at, "a bad \\u escape") end
  return tonumber(hex, 16), at + 4
end

local function string_at(text, at)
  local parts = {}
  local from = at + 1
  while true do
    local stop = text:find('["\\%c]', from)
    if not stop then fail(text, at, "an unfinished string") end
    parts[#parts + 1] = text:sub(from, stop - 1)
    local byte = text:sub(stop, stop)
    if byte == '"' then return table.concat(parts), stop + 1 end
    if byte == "\127" then
      parts[#parts + 1] = byte
      from = stop + 1
    elseif byte ~= "\\" then
      fail(text, stop, "a control character in a string")
    else
      local escape = text:sub(stop + 1, stop + 1)
      if escape == "u" then
        local code
        code, from = unicode(text, stop + 2)
        if code >= 0xD800 and code < 0xDC00 and text:match("^\\u[dD][c-fC-F]", from) then
          local low
          low, from = unicode(text, from + 2)
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        elseif code >= 0xD800 and code < 0xE000 then
          fail(text, stop, "half of a surrogate pair, which is no character,")
        end
        parts[#parts + 1] = utf8.char(code)
      else
        local plain = escapes[escape]
        if not plain then fail(text, stop, "a bad escape") end
        parts[#parts + 1] = plain
        from = stop + 2
      end
    end
  end
end

local function number_at(text, at)
  local whole = text:match("^-?0()", at) or text:match("^-?[1-9]%d*()", at)
  if not whole then fail(text, at, "no JSON") end
  local stop = text:match("^%.%d+()", whole) or whole
  stop = text:match("^[eE][+-]?%d+()", stop) or stop
  local written = text:sub(at, stop - 1)
  if text:match("^[%w.+-]", stop) then fail(text, at, "no number") end
  if stop > whole then return tonumber(written) + 0.0, stop end
  local number = math.tointeger(tonumber(written))
  if number and tostring(number) == written then return number, stop end
  if written == "-0" then return 0, stop end
  return setmetatable({digits = written}, json.bigint), stop
end

local literals = {t = {"true", true}, f = {"false", false}, n = {"null", json.null}}

function value_at(text, at, depth)
  if depth > most_depth then fail(text, at, "more than " .. most_depth .. " levels") end
  local first = text:sub(at, at)
  if first == '"' then return string_at(text, at) end
  if first == "{" then
    local object = setmetatable({}, json.object)
    at = skip(text, at + 1)
    if text:sub(at, at) == "}" then return object, at + 1 end
    while true do
      if text:sub(at, at) ~= '"' then fail(text, at, "no member's name") end
      local key
      key, at = string_at(text, at)
      at = skip(text, at)
      if text:sub(at, at) ~= ":" then fail(text, at, "no colon") end
      object[key], at = value_at(text, skip(text, at + 1), depth + 1)
      at = skip(text, at)
      local mark = text:sub(at, at)
      if mark == "}" then return object, at + 1 end
      if mark ~= "," then fail(text, at, "neither comma nor }") end
      at = skip(text, at + 1)
    end
  end
  if first == "[" then
    local array = setmetatable({}, json.array)
    at = skip(text, at + 1)
    if text:sub(at, at) == "]" then return array, at + 1 end
    while true do
      array[#array + 1], at = value_at(text, at, depth + 1)
      at = skip(text, at)
      local mark = text:sub(at, at)
      if mark == "]" then return array, at + 1 end
      if mark ~= "," then fail(text, at, "neither comma nor ]") end
      at = skip(text, at + 1)
    end
  end
  local literal = literals[first]
  if literal then
    if text:sub(at, at + #literal[1] - 1) ~= literal[1] or text:match("^%w", at + #literal[1]) then fail(text, at, "no JSON") end
    return literal[2], at + #literal[1]
  end
  return number_at(text, at)
end

-- Strict UTF-8: no surrogates, nothing beyond U+10FFFF.
function json.is_text(text)
  local length = utf8.len(text)
  return length ~= nil
end

--- The value of one JSON text; nil and the reason where it is none.
function json.decode(text)
  if not json.is_text(text) then return nil, "the text is not UTF-8" end
  local good, value, at = pcall(value_at, text, skip(text, 1), 1)
  if not good then
    if type(value) == "table" and value.json then return nil, value.message end
    return nil, tostring(value)
  end
  if skip(text, at) <= #text then return nil, "more follows at byte " .. at end
  return value
end

local quoted = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\b"] = "\\b", ["\f"] = "\\f"}
local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return c ~= "\127" and (quoted[c] or string.format("\\u%04x", c:byte())) or nil end) .. '"'
end
json.quote = quote

local base64_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
function json.base64(data)
  local out = {}
  for i = 1, #data, 3 do
    local a, b, c = data:byte(i, i + 2)
    local n = (a << 16) | ((b or 0) << 8) | (c or 0)
    for shift, there in ipairs({true, true, b ~= nil, c ~= nil}) do
      local index = (n >> (24 - 6 * shift)) & 63
      out[#out + 1] = there and base64_letters:sub(index + 1, index + 1) or "="
    end
  end
  return table.concat(out)
end

local function unfit(where, what)
  error({unfit = true, message = (where == "" and "the value" or "the value at " .. where) .. " is " .. what}, 0)
end

-- `place(pointer, kind, bytes)` takes a large string or byte sequence beside the JSON; without it everything is written out.
local function encode(value, where, out, place, depth)
  if depth > most_depth then unfit(where, "nested more than " .. most_depth .. " deep, or contains itself") end
  local kind = type(value)
  if value == nil or value == json.null then
    out[#out + 1] = "null"
  elseif kind == "boolean" then
    out[#out + 1] = tostring(value)
  elseif kind == "string" then
    if not json.is_text(value) then unfit(where, "a string that is not UTF-8; sabir.bytes(…) carries bytes") end
    if place and #value >= 65536 then
      place(where, "string", value)
      out[#out + 1] = "null"
    else
      out[#out + 1] = quote(value)
    end
  elseif math.type(value) == "integer" then
    out[#out + 1] = tostring(value)
  elseif kind == "number" then
    if value ~= value then unfit(where, "NaN, which JSON does not have") end
    if value == math.huge or value == -math.huge then unfit(where, "infinite, which JSON does not have") end
    local short = string.format("%.15g", value)
    if tonumber(short) ~= value then short = string.format("%.17g", value) end
    if not short:find("[.eE]") then short = short .. ".0" end
    out[#out + 1] = short
  elseif kind == "table" then
    local meta = getmetatable(value)
    if meta == json.bigint then
      out[#out + 1] = value.digits
    elseif meta == json.bytes then
      if place and #value.data >= 65536 then
        place(where, "bytes", value.data)
        out[#out + 1] = "null"
      else
        out[#out + 1] = '"' .. json.base64(value.data) .. '"'
      end
    elseif meta == json.array or (meta ~= json.object and #value > 0) then
      local count = 0
      for key in pairs(value) do
        if math.type(key) ~= "integer" or key < 1 then unfit(where, "a table with both positions and names") end
        count = count + 1
      end
      if count ~= #value then unfit(where, "a list with holes") end
      out[#out + 1] = "["
      for i = 1, #value do
        if i > 1 then out[#out + 1] = "," end
        encode(value[i], where .. "/" .. (i - 1), out, place, depth + 1)
      end
      out[#out + 1] = "]"
    else
      local keys = {}
      for key in pairs(value) do
        if type(key) ~= "string" then unfit(where, "a table with a key that is a " .. type(key)) end
        if not json.is_text(key) then unfit(where, "a table with a key that is not UTF-8") end
        keys[#keys + 1] = key
      end
      table.sort(keys)
      out[#out + 1] = "{"
      for i, key in ipairs(keys) do
        if i > 1 then out[#out + 1] = "," end
        out[#out + 1] = quote(key) .. ":"
        encode(value[key], where .. "/" .. key:gsub("~", "~0"):gsub("/", "~1"), out, place, depth + 1)
      end
      out[#out + 1] = "}"
    end
  else
    unfit(where, "a " .. kind .. ", which JSON does not have")
  end
end

--- JSON text. Raises {unfit = true, message = …} for what JSON cannot carry.
function json.encode(value, where, place)
  local out = {}
  encode(value, where or "", out, place, 1)
  return table.concat(out)
end

return json
