-- The SDK of Lua: `local sabir = require("sabir")`. In a worker, requests go over its connection and belong to the running
-- call; elsewhere (a test, a script) each is one `sabir` command.
--
--   sabir.call(address, arguments)     memory: sabir.memory.put, get, list, delete, append, messages
--   sabir.render(name, variables)      sabir.complete(prompt), sabir.ask(assistant, message)
--   sabir.secret(name)                 sabir.progress(done, total, message), sabir.log(message, level)
--   sabir.null, sabir.array(t), sabir.object(t), sabir.bytes(s)     what Lua has no value for
--   sabir.error(class, message)        raises an error with a class
--
-- What the engine refuses is raised as an error table {type, message, hint, data}; tostring() gives its message.

local json = require("sabir_json")

local sabir = {null = json.null, json = json}

function sabir.array(items) return setmetatable(items or {}, json.array) end
function sabir.object(members) return setmetatable(members or {}, json.object) end
function sabir.bytes(data) return setmetatable({data = data}, json.bytes) end
function sabir.bigint(digits) return setmetatable({digits = tostring(digits)}, json.bigint) end

-- Errors of the engine.
sabir.Error = {__name = "SabirError", __tostring = function(self) return self.message end}
-- Errors of a function's own, with a class.
sabir.Raised = {__name = "Raised", __tostring = function(self) return self.message end}

function sabir.error(class, message)
  error(setmetatable({class = class, message = message}, sabir.Raised), 2)
end

-- The worker's: function(method, params) -> result. Outside of a worker nil.
sabir._request = nil
sabir._notify = function(method, params)
  local told = method == "progress" and ("progress: %s%s"):format(params.done, params.total and " of " .. params.total or "") or params.message
  io.stderr:write(tostring(told), "\n")
end

-- ---- outside of a worker ------------------------------------------------------------------------------------------------

local function word(text) return "'" .. tostring(text):gsub("'", [['\'']]) .. "'" end

local function command(words, input)
  local line = {word(os.getenv("SABIR_BIN") or "sabir")}
  for _, one in ipairs(words) do line[#line + 1] = word(one) end
  local file
  if input then
    file = os.tmpname()
    local to = assert(io.open(file, "w"))
    to:write(input)
    to:close()
    line[#line + 1] = "<" .. word(file)
  end
  local from = assert(io.popen(table.concat(line, " "), "r"))
  local text = from:read("a")
  from:close()
  if file then os.remove(file) end
  local answer, why = json.decode(text)
  if answer == nil then error(setmetatable({type = "protocol", message = "sabir answered no JSON: " .. why}, sabir.Error), 0) end
  if getmetatable(answer) == json.object and getmetatable(answer.error) == json.object and answer.error.type then
    error(setmetatable({type = answer.error.type, message = answer.error.message, hint = answer.error.hint or "", data = answer.error}, sabir.Error), 0)
  end
  return answer
end

local outside = {}
outside["functions.call"] = function(p) return {value = command({"call", p.address, "--args", "-", "--json"}, json.encode(p.arguments))} end
outside["functions.list"] = function() return command({"functions", "--json"}) end
outside["memory.put"] = function(p)
  local words = {"memory", "put", "--json", "-n", p.namespace, p.key, "-"}
  if p.if_version then table.move({"--if-version", p.if_version}, 1, 2, #words + 1, words) end
  return command(words, json.encode(p.value))
end
outside["memory.get"] = function(p)
  local good, answer = pcall(command, {"memory", "get", "--json", "-n", p.namespace, p.key})
  if good then return answer end
  if answer.type == "not_found" then return {found = false, value = json.null} end
  error(answer, 0)
end
outside["memory.list"] = function(p) return command({"memory", "list", "--json", "-n", p.namespace, p.prefix}) end
outside["memory.delete"] = function(p) return command({"memory", "delete", "--json", "-n", p.namespace, p.key}) end
outside["memory.append"] = function(p)
  return command({"memory", "append", "--json", "--role", p.message.role, p.conversation, p.message.content})
end
outside["memory.messages"] = function(p) return command({"memory", "messages", "--json", p.conversation}) end
outside["completions.render"] = function(p) return command({"prompt", "render", p.name, "--args", "-", "--json"}, json.encode(p.variables)) end
outside["models.complete"] = function(p) return command({"complete", "--json", p.messages[1].content}) end
outside["assistants.run"] = function(p)
  local words = {"chat", "--json", p.name, p.message}
  if p.conversation then table.move({"-c", p.conversation}, 1, 2, #words + 1, words) end
  return command(words)
end

local function request(method, params)
  if sabir._request then return sabir._request(method, params) end
  local way = outside[method]
  if not way then error(setmetatable({type = "unavailable", message = method .. " is there inside of a function only"}, sabir.Error), 0) end
  return way(params)
end

-- ---- the verbs ----------------------------------------------------------------------------------------------------------

-- null at the top is nil, as everywhere in Lua.
local function plain(value)
  if value == json.null then return nil end
  return value
end

function sabir.call(address, arguments)
  return plain(request("functions.call", {address = address, arguments = sabir.object(arguments)}).value)
end

function sabir.functions()
  return request("functions.list", sabir.object()).functions
end

sabir.memory = {}

--- Writes a value and gives its version. options: namespace, if_version, ttl (seconds).
function sabir.memory.put(key, value, options)
  options = options or {}
  local params = {namespace = options.namespace or "default", key = key, value = value == nil and json.null or value}
  params.if_version = options.if_version
  params.ttl_ms = options.ttl and math.floor(options.ttl * 1000) or nil
  return request("memory.put", params).version
end

function sabir.memory.get(key, options)
  return plain(request("memory.get", {namespace = options and options.namespace or "default", key = key}).value)
end

function sabir.memory.list(prefix, options)
  return request("memory.list", {namespace = options and options.namespace or "default", prefix = prefix or ""}).items
end

function sabir.memory.delete(key, options)
  return request("memory.delete", {namespace = options and options.namespace or "default", key = key}).deleted
end

function sabir.memory.append(conversation, role, content)
  return request("memory.append", {conversation = conversation, message = {role = role, content = content}}).seq
end

--- The last messages, {role, content} each; `limit` of them.
function sabir.memory.messages(conversation, limit)
  local all = {}
  for _, one in ipairs(request("memory.messages", {conversation = conversation, limit = limit}).messages) do all[#all + 1] = one.message end
  return sabir.array(all)
end

function sabir.render(name, variables)
  return request("completions.render", {name = name, variables = sabir.object(variables)}).text
end

--- A model's answer: {content, model, usage, …}.
function sabir.complete(prompt, options)
  return request("models.complete", {messages = {{role = "user", content = prompt}}, model = options and options.model})
end

--- An assistant's answer: {content, conversation, …}.
function sabir.ask(assistant, message, conversation)
  return request("assistants.run", {name = assistant, message = message, conversation = conversation})
end

function sabir.secret(name)
  return request("secrets.get", {name = name}).value
end

function sabir.progress(done, total, message)
  sabir._notify("progress", {done = done, total = total, message = message})
end

function sabir.log(message, level)
  sabir._notify("log", {level = level or "info", message = message})
end

return sabir
