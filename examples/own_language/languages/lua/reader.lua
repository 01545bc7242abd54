-- What a Lua file offers, read from its text: the functions at its top level with the annotations above them
-- (`---@param name type text`, as EmmyLua and LuaLS write them), and literal assignments. Nothing is run.

local json = require("sabir_json")

local reader = {}

local object = function(members) return setmetatable(members or {}, json.object) end
local array = function(items) return setmetatable(items or {}, json.array) end

-- ---- tokens -------------------------------------------------------------------------------------------------------------

-- {kind, text, line}: kind is name, string, number, mark or comment. A syntax error is the interpreter's to tell.
local function tokens_of(source)
  local tokens, at, line = {}, 1, 1
  local function count(text)
    for _ in text:gmatch("\n") do line = line + 1 end
  end
  while at <= #source do
    local blank = source:match("^%s+", at)
    if blank then
      count(blank)
      at = at + #blank
    else
      local began = line
      local kind, text, value
      local level = source:match("^%-%-%[(=*)%[", at)
      if level then
        local stop = source:find("]" .. level .. "]", at, true) or #source
        text = source:sub(at, stop + #level + 1)
        kind = "block comment"
      elseif source:match("^%-%-", at) then
        text = source:match("^[^\n]*", at)
        kind = "comment"
      elseif source:match("^%[=*%[", at) then
        level = source:match("^%[(=*)%[", at)
        local stop = source:find("]" .. level .. "]", at, true) or #source
        text = source:sub(at, stop + #level + 1)
        value = source:sub(at + #level + 2, stop - 1):gsub("^\r?\n", "")
        kind = "string"
      elseif source:match("^[\"']", at) then
        local quote, stop = source:sub(at, at), at + 1
        while stop <= #source and source:sub(stop, stop) ~= quote do
          stop = stop + (source:sub(stop, stop) == "\\" and 2 or 1)
        end
        text = source:sub(at, stop)
        value = text:sub(2, -2)
        if value:find("\\", 1, true) then
          -- Escapes that are the same everywhere; others leave the value unknown.
          local unknown
          value = value:gsub("\\(.)", function(c)
            local plain = ({n = "\n", t = "\t", ["\\"] = "\\", ['"'] = '"', ["'"] = "'", ["\n"] = "\n"})[c]
            unknown = unknown or not plain
            return plain
          end)
          if unknown then value = nil end
        end
        kind = "string"
      elseif source:match("^[%a_]", at) then
        text = source:match("^[%w_]+", at)
        kind = "name"
      elseif source:match("^%.?%d", at) then
        text = source:match("^0[xX][%x.]+", at) or source:match("^[%d.]+[eE][+-]?%d+", at) or source:match("^[%d.]+", at)
        kind = "number"
      else
        text = source:match("^%.%.%.", at) or source:match("^%.%.", at) or source:match("^[~=<>]=", at) or source:match("^::", at) or source:sub(at, at)
        kind = "mark"
      end
      tokens[#tokens + 1] = {kind = kind, text = text, value = value, line = began}
      count(text)
      at = at + #text
    end
  end
  return tokens
end

-- ---- types --------------------------------------------------------------------------------------------------------------

local simple = {
  string = {type = "string"}, integer = {type = "integer"}, number = {type = "number"}, boolean = {type = "boolean"}, bool = {type = "boolean"},
  ["nil"] = {type = "null"}, any = {}, table = {type = {"object", "array"}}, object = {type = "object"}, array = {type = "array"},
  bytes = {type = "string", contentEncoding = "base64"},
}

local function copy(schema)
  local out = object()
  for key, value in pairs(schema) do out[key] = type(value) == "table" and not getmetatable(value) and array(table.move(value, 1, #value, 1, {})) or value end
  return out
end

local read_type

-- The type at the beginning of `text`, and what follows it; nil where there is none.
local function primary(text, classes, depth)
  if depth > 32 then return nil end
  local word, rest = text:match("^([%a_][%w_.%-]*)(.*)$")
  if word == "fun" then
    -- An iterator: what it gives is streamed by a coroutine anyway.
    return nil, text, "functions cannot be sent"
  elseif word == "table" and rest:sub(1, 1) == "<" then
    local key, after = read_type(rest:sub(2), classes, depth + 1)
    if not key or not after:match("^%s*,") then return nil end
    local value
    value, after = read_type(after:match("^%s*,%s*(.*)$"), classes, depth + 1)
    if not value or after:sub(1, 1) ~= ">" then return nil end
    return object({type = "object", additionalProperties = value}), after:sub(2)
  elseif word then
    local known = simple[word]
    if known then return copy(known), rest end
    if classes[word] then
      if depth > 8 then return object(), rest end
      return classes[word](depth + 1), rest
    end
    return nil
  end
  local quote = text:match("^[\"'`]")
  if quote then
    local value, after = text:match("^" .. quote .. "([^" .. quote .. "]*)" .. quote .. "(.*)$")
    if not value then return nil end
    return object({type = "string", enum = array({value})}), after
  end
  if text:sub(1, 1) == "(" then
    local inner, after = read_type(text:sub(2), classes, depth + 1)
    if not inner or after:sub(1, 1) ~= ")" then return nil end
    return inner, after:sub(2)
  end
  if text:sub(1, 1) == "{" then
    local properties, required = object(), array()
    local after = text:match("^{%s*(.*)$")
    while after:sub(1, 1) ~= "}" do
      local name, optional, typed = after:match("^([%a_][%w_]*)(%??)%s*:%s*(.*)$")
      if not name then return nil end
      local inner
      inner, after = read_type(typed, classes, depth + 1)
      if not inner then return nil end
      properties[name] = inner
      if optional == "" then required[#required + 1] = name end
      after = after:match("^%s*,?%s*(.*)$")
    end
    local schema = object({type = "object", properties = properties, additionalProperties = false})
    if #required > 0 then schema.required = required end
    return schema, after:sub(2)
  end
end

local function is_null(schema) return schema.type == "null" end

local function either(options)
  if #options == 1 then return options[1] end
  local values, types, only_values, only_types = array(), array(), true, true
  local seen = {}
  for _, one in ipairs(options) do
    local size = 0
    for _ in pairs(one) do size = size + 1 end
    only_values = only_values and (one.enum ~= nil or is_null(one))
    only_types = only_types and size == 1 and type(one.type) == "string"
    for _, value in ipairs(one.enum or (is_null(one) and {json.null} or {})) do values[#values + 1] = value end
    if type(one.type) == "string" and not seen[one.type] then
      seen[one.type] = true
      types[#types + 1] = one.type
    end
  end
  local kind = #types == 1 and types[1] or types
  if only_values then return object({type = kind, enum = values}) end
  if only_types then return object({type = kind}) end
  return object({anyOf = array(options)})
end

function read_type(text, classes, depth)
  local options = {}
  while true do
    local one, after, why = primary(text, classes, depth)
    if not one then return nil, after, why end
    while true do
      if after:sub(1, 2) == "[]" then
        one, after = object({type = "array", items = next(one) and one or nil}), after:sub(3)
      elseif after:sub(1, 1) == "?" then
        one, after = either({one, object({type = "null"})}), after:sub(2)
      else
        break
      end
    end
    options[#options + 1] = one
    local more = after:match("^%s*|%s*(.*)$")
    if not more then return either(options), after end
    text = more
  end
end

-- ---- annotations --------------------------------------------------------------------------------------------------------

-- ---@class with its fields, ---@alias: name -> function(depth) -> schema.
local function classes_of(tokens)
  local classes, current = {}, nil
  for _, token in ipairs(tokens) do
    local tag, rest = "", ""
    if token.kind == "comment" then tag, rest = token.text:match("^%-%-%-%s*@(%a+)%s*(.*)$") end
    if tag == "class" then
      local name, parent = (rest:gsub("^%(%a+%)%s*", "")):match("^([%a_][%w_.]*)%s*:?%s*([%w_.]*)")
      if name then
        local fields = {}
        current = fields
        classes[name] = function(depth)
          local properties, required = object(), array()
          local above = classes[parent] and depth <= 8 and classes[parent](depth + 1)
          if above then
            for key, value in pairs(above.properties) do properties[key] = value end
            for _, key in ipairs(above.required or {}) do required[#required + 1] = key end
          end
          for _, field in ipairs(fields) do
            local schema, after = read_type(field.type, classes, depth + 1)
            schema = schema or object()
            local doc = schema and after and after:match("^%s*(.-)%s*$") or ""
            if doc ~= "" then schema.description = doc end
            properties[field.name] = schema
            if not field.optional then required[#required + 1] = field.name end
          end
          local schema = object({type = "object", properties = properties, additionalProperties = false})
          if #required > 0 then schema.required = required end
          return schema
        end
      end
    elseif tag == "field" and current then
      local name, optional, typed = rest:gsub("^public%s+", ""):match("^([%a_][%w_]*)(%??)%s+(.*)$")
      if name then current[#current + 1] = {name = name, optional = optional ~= "", type = typed} end
    elseif tag == "alias" then
      local name, typed = rest:match("^([%a_][%w_.]*)%s+(.+)$")
      if name then classes[name] = function(depth) return (read_type(typed, classes, depth + 1)) or object() end end
      current = nil
    elseif token.kind ~= "comment" then
      current = nil
    end
  end
  return classes
end

local function doc_of(lines, classes)
  local doc = {parameters = {}, text = {}}
  for _, line in ipairs(lines) do
    local tag, rest = line.text:match("^%s*@(%a+)%s*(.*)$")
    if tag == "param" then
      local name, optional, typed = rest:match("^([%a_][%w_]*)(%??)%s*(.*)$")
      if not name then name, optional, typed = rest:match("^(%.%.%.)(%??)%s*(.*)$") end
      if name then
        local schema, after, why = read_type(typed, classes, 0)
        doc.parameters[name] = {schema = schema, doc = schema and after:match("^%s*(.-)%s*$") or typed, type = schema and typed:sub(1, #typed - #after) or "",
          optional = optional == "?", wrong = not schema and typed ~= "" and (why or "'" .. (typed:match("^%S+") or "") .. "' is no type") or nil, line = line.line}
      end
    elseif tag == "return" or tag == "stream" or tag == "yield" then
      local schema, after = read_type(rest, classes, 0)
      doc.result = {schema = schema or object(), type = schema and rest:sub(1, #rest - #after) or "", doc = schema and after:match("^%s*#?%s*(.-)%s*$") or rest}
      doc.stream = tag ~= "return"
    elseif tag == "private" or tag == "package" or tag == "local" then
      doc.hidden = true
    elseif tag == "class" or tag == "field" or tag == "alias" or tag == "type" or tag == "diagnostic" then
      doc.skipped = true
    else
      doc.text[#doc.text + 1] = line.text
    end
  end
  return doc
end

-- ---- the file -----------------------------------------------------------------------------------------------------------

local opens = {["function"] = true, ["do"] = true, ["then"] = true, ["repeat"] = true}
local function literal(tokens, at)
  local token = tokens[at]
  if not token then return nil end
  if token.kind == "string" and token.value then return token.value, at + 1 end
  if token.kind == "number" and tonumber(token.text) then return math.tointeger(tonumber(token.text)) or tonumber(token.text), at + 1 end
  if token.text == "true" or token.text == "false" then return token.text == "true", at + 1 end
  if token.text ~= "{" then return nil end
  local items = array()
  at = at + 1
  while tokens[at] and tokens[at].text ~= "}" do
    if tokens[at].kind == "comment" or tokens[at].kind == "block comment" or tokens[at].text == "," then
      at = at + 1
    else
      local value
      value, at = literal(tokens, at)
      if value == nil then return nil end
      items[#items + 1] = value
    end
  end
  if not tokens[at] then return nil end
  return items, at + 1
end

--- The description of one file, an entry of spec/describe.md without its path.
function reader.read(source)
  local chunk, why = load((source:gsub("^#[^\n]*", "")), "=file", "t", {})
  if not chunk then
    local line, message = why:match("^file:(%d+): (.*)$")
    return object({error = object({message = message or why, line = math.tointeger(tonumber(line or 0)), column = 0})})
  end
  local tokens = tokens_of(source)
  local classes = classes_of(tokens)
  local out = object({functions = array(), unavailable = array(), constants = object(), module_doc = ""})
  local depth, comments = 0, {}   -- `while … do` and `for … do` open by their `do`
  local modules = {}     -- local names of tables: `local M = {}`
  local returned = source:match("return%s+([%a_][%w_]*)%s*$")

  local function define(name, at, line, place)
    local doc = doc_of(comments, classes)
    if name:sub(1, 1) == "_" or doc.hidden then return end
    if place then
      out.unavailable[#out.unavailable + 1] = object({name = name, line = line, reason = place})
      return
    end
    local parameters, warnings = array(), array()
    while tokens[at] and tokens[at].text ~= ")" do
      local token = tokens[at]
      if token.kind == "name" or token.text == "..." then
        local told = doc.parameters[token.text] or {}
        if told.wrong then
          out.unavailable[#out.unavailable + 1] = object({name = name, line = told.line, reason = "parameter " .. token.text .. ": " .. told.wrong})
          return
        end
        local variadic = token.text == "..."
        local entry = object({name = variadic and "rest" or token.text, kind = variadic and "variadic" or "positional", schema = variadic and object({type = "array", items = told.schema and next(told.schema) and told.schema or nil}) or told.schema or object(),
          required = not variadic and not told.optional and not (told.schema and type(told.schema.type) == "table" and told.type:sub(-1) == "?"),
          doc = told.doc or "", type = told.type or ""})
        if token.text == "context" and not told.schema then
          entry.context = true
        elseif not told.schema then
          warnings[#warnings + 1] = "parameter '" .. entry.name .. "' has no type: anything is accepted"
        end
        parameters[#parameters + 1] = entry
      end
      at = at + 1
    end
    -- A body that yields is a stream.
    local streams, inner = doc.stream or false, 1
    at = at + 1
    while tokens[at] and inner > 0 do
      local text = tokens[at].kind == "name" and tokens[at].text
      if opens[text] then inner = inner + 1 elseif text == "end" or text == "until" then inner = inner - 1 end
      if text == "elseif" then inner = inner - 1 end
      if text == "coroutine" and tokens[at + 2] and tokens[at + 2].text == "yield" then streams = true end
      at = at + 1
    end
    out.functions[#out.functions + 1] = object({name = name, line = line, doc = table.concat(doc.text, "\n"), generator = streams,
      parameters = parameters, result = object(doc.result or {schema = object(), type = "", doc = ""}), warnings = warnings})
  end

  local at, comments_end = 1, 0
  while at <= #tokens do
    local token = tokens[at]
    local text = (token.kind == "name" or token.kind == "mark") and token.text or ""
    local before, after = tokens[at - 1], tokens[at + 1]
    if token.kind == "comment" then
      if token.line ~= comments_end + 1 then comments = {} end
      comments[#comments + 1] = {text = token.text:gsub("^%-+ ?", ""), line = token.line}
      comments_end = token.line
      -- A block at the top that stands alone is the file's.
      if comments[1].line <= 2 and out.module_doc == "" and after and after.line > token.line + 1 then
        local lines = {}
        for _, one in ipairs(comments) do lines[#lines + 1] = one.text end
        out.module_doc = table.concat(lines, "\n")
      end
    elseif text == "function" then
      if token.line ~= comments_end + 1 then comments = {} end
      if after and after.kind == "name" and not (before and before.text == "local") then
        local dot, second = tokens[at + 2], tokens[at + 3]
        if dot and (dot.text == "." or dot.text == ":") then
          -- M.name of the table that the file returns; methods and other tables' functions are nobody's to call.
          if dot.text == "." and after.text == returned and modules[returned] and tokens[at + 4].text == "(" then
            define(second.text, at + 5, token.line, depth > 0 and "it is defined inside a block" or nil)
          end
        else
          define(after.text, at + 3, token.line, depth > 0 and "it is defined inside a block" or nil)
        end
      elseif before and before.text == "=" and depth == 0 then
        -- name = function(…), M.name = function(…)
        local name, mark = tokens[at - 2], tokens[at - 3] and tokens[at - 3].text
        if name and name.kind == "name" then
          local of_module = mark == "." and tokens[at - 4] and tokens[at - 4].text == returned and modules[returned]
          if of_module or (mark ~= "local" and mark ~= "." and mark ~= ",") then define(name.text, at + 2, token.line) end
        end
      end
      depth = depth + 1
    elseif text == "do" or text == "then" or text == "repeat" then
      depth = depth + 1
    elseif text == "end" or text == "until" or text == "elseif" then
      depth = depth - 1
    elseif token.kind == "name" and depth == 0 and after and after.text == "=" and not (before and before.text == ".") then
      local value = literal(tokens, at + 2)
      if before and before.text == "local" and tokens[at + 2] and tokens[at + 2].text == "{" then modules[token.text] = true end
      if value ~= nil then out.constants[token.text] = value end
    end
    at = at + 1
  end
  if returned then out.constants[returned] = nil end
  return out
end

return reader
