# frozen_string_literal: true

# Does through the SDK what tests/languages/sdk_behaviour.json asks.

require "sabir"

# The SDK's call.
# @param address [String]
# @param arguments [Hash]
def probe_call(address, arguments)
  Sabir.call(address, **arguments.transform_keys(&:to_sym))
end

# The error that comes.
# @param address [String]
# @param arguments [Hash]
# @return [Hash]
def probe_call_error(address, arguments)
  Sabir.call(address, **arguments.transform_keys(&:to_sym))
  raise "there was no error"
rescue Sabir::Error => e
  { "type" => e.type, "message" => e.plain_message, "hint" => e.hint }
end

# The addresses of all functions.
# @return [Array<String>]
def probe_functions
  Sabir.functions.map { |one| one["address"] }.sort
end

# Memory put.
# @param key [String]
# @param value [Object]
# @param namespace [String]
# @return [Integer]
def probe_put(key, value, namespace = "")
  Sabir.memory.put(key, value, namespace: namespace.empty? ? "default" : namespace)
end

# Conditional put.
# @param key [String]
# @param value [Object]
# @param version [Integer]
# @return [Hash]
def probe_put_if(key, value, version)
  { "version" => Sabir.memory.put(key, value, if_version: version) }
rescue Sabir::Error => e
  { "type" => e.type }
end

# Memory get.
# @param key [String]
# @param namespace [String]
def probe_get(key, namespace = "")
  Sabir.memory.get(key, namespace: namespace.empty? ? "default" : namespace)
end

# Memory list.
# @param prefix [String]
# @return [Array<Hash>]
def probe_list(prefix)
  Sabir.memory.list(prefix).map { |item| { "key" => item.key, "value" => item.value } }
end

# Memory delete.
# @param key [String]
# @return [Boolean]
def probe_delete(key)
  Sabir.memory.delete(key)
end

# Adds a message.
# @param conversation [String]
# @param role [String]
# @param content [String]
# @return [Integer]
def probe_append(conversation, role, content)
  Sabir.memory.append(conversation, { role: role, content: content })
end

# The last messages.
# @param conversation [String]
# @param limit [Integer]
# @return [Array<Hash>]
def probe_messages(conversation, limit = 0)
  limit.zero? ? Sabir.memory.messages(conversation) : Sabir.memory.messages(conversation, limit: limit)
end

# A completion's text.
# @param name [String]
# @param variables [Hash]
# @return [String]
def probe_render(name, variables)
  Sabir.render(name, **variables.transform_keys(&:to_sym))
end

# A model's reply.
# @param prompt [String]
# @return [String]
def probe_complete(prompt)
  Sabir.complete(prompt)
end

# Asks an assistant.
# @param assistant [String]
# @param message [String]
# @return [Hash]
def probe_ask(assistant, message)
  answer = Sabir.ask(assistant, message)
  { "content" => answer, "conversation_is_set" => !answer.conversation.to_s.empty? }
end

# A secret's value.
# @param name [String]
# @return [String]
# @secrets probe_secret
def probe_secret(name)
  Sabir.secret(name)
end

# The type of the error.
# @param name [String]
# @return [String]
def probe_secret_error(name)
  Sabir.secret(name)
  ""
rescue Sabir::Error => e
  e.type
end

# Reports each step.
# @param steps [Integer]
# @return [Integer]
def probe_progress(steps)
  1.upto(steps) { |step| Sabir.progress(step, steps) }
  steps
end

# One log record.
# @param message [String]
# @return [String]
def probe_log(message)
  Sabir.log(message)
  message
end

# The caller's context.
# @param context [Sabir::Context]
# @return [Hash]
def probe_context(context)
  context.to_h
end
