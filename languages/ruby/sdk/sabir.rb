# frozen_string_literal: true

require_relative "sabir/error"
require_relative "sabir/context"
require_relative "sabir/channel"
require_relative "sabir/memory"
require_relative "sabir/results"

# Sabir's SDK: functions, memory, prompts, models and secrets of a Sabir project, from Ruby.
#
# Inside a function that the engine calls, everything goes over the worker's own connection, under the caller's context.
# In any other process (rspec, irb, a Rails application) the SDK joins the project's running engine or starts a private
# one; there is one connection per process, shared by its threads, remade after a fork, closed at exit.
#
# Every method raises Sabir::Error.
module Sabir
  VERSION = "0.1.0"

  module_function

  # Calls a function of the project in whatever language it is written, and returns its value.
  # address: "module.function", "function", or with a language in front: "python/module.function".
  def call(address, **arguments)
    Channel.request("functions.call", { "address" => address.to_s, "arguments" => arguments }, large: ["arguments"])["value"]
  end

  # Calls a function and yields what it yields, as it comes; a function that yields nothing gives its one value. Without a
  # block an Enumerator. Leaving early cancels the call.
  def stream(address, **arguments, &block)
    return enum_for(:stream, address, **arguments) unless block

    Channel.stream("functions.call", { "address" => address.to_s, "arguments" => arguments, "stream" => true }, ["arguments"], &block)
    nil
  end

  # The project's functions: hashes with address, language, summary, input_schema, output_schema and effect.
  def functions
    Channel.request("functions.list", {}, again: true)["functions"]
  end

  # The project's memory; see Sabir::Memory.
  def memory
    Memory
  end

  # A completion template's text with the variables filled in; the same bytes as `sabir prompt render`.
  def render(name, **variables)
    Channel.request("completions.render", { "name" => name.to_s, "variables" => variables }, large: ["variables"],
                                                                                            again: true)["text"]
  end

  # A model's completion: a String that also has model, provider, usage, tool_calls and finish_reason.
  # prompt: a String, or an Array of messages {role:, content:}. model: an alias of config/openai_config.yml.
  # parameters: temperature, max_tokens and the like, as the provider names them.
  def complete(prompt, model: nil, tools: nil, output_schema: nil, **parameters)
    messages = prompt.is_a?(String) ? [{ "role" => "user", "content" => prompt }] : prompt.to_a
    params = { "messages" => messages }
    params["model"] = model.to_s if model
    params["tools"] = tools if tools
    params["output_schema"] = output_schema if output_schema
    params["parameters"] = parameters unless parameters.empty?
    Reply.from_wire(Channel.request("models.complete", params, large: params.keys))
  end

  # An assistant's answer: a String that also has conversation, model and calls (the functions it called).
  def ask(assistant, message, conversation: nil)
    params = { "name" => assistant.to_s, "message" => message }
    params["conversation"] = conversation if conversation
    AskReply.from_wire(Channel.request("assistants.run", params, large: ["message"]))
  end

  # A secret's value, if the running function is granted it. Keep it out of results and logs.
  def secret(name)
    Channel.request("secrets.get", { "name" => name.to_s }, again: true)["value"]
  end

  # Tells the caller how far the running call is. Does nothing outside a worker.
  def progress(done, total = nil, message = "")
    params = { "done" => done, "message" => message }
    params["total"] = total unless total.nil?
    Channel.notify("progress", params)
    nil
  end

  # One record in the engine's log; on standard error outside a worker. level: debug, info, warning or error.
  def log(message, level = "info")
    warn("#{level}: #{message}") unless Channel.notify("log", { "level" => level.to_s, "message" => message.to_s })
    nil
  end
end
