# frozen_string_literal: true

module Sabir
  # A completion's text. model, provider, usage (Hash), tool_calls (Array) and finish_reason tell the rest.
  class Reply < String
    attr_accessor :model, :provider, :usage, :tool_calls, :finish_reason

    def self.from_wire(result)
      reply = new(result["content"] || "")
      reply.model = result["model"]
      reply.provider = result["provider"]
      reply.usage = result["usage"] || {}
      reply.tool_calls = result["tool_calls"] || []
      reply.finish_reason = result["finish_reason"]
      reply
    end
  end

  # An assistant's answer. conversation continues it; calls lists {"address", "arguments", "value" or "error"}.
  class AskReply < String
    attr_accessor :conversation, :model, :calls

    def self.from_wire(result)
      reply = new(result["content"] || "")
      reply.conversation = result["conversation"]
      reply.model = result["model"]
      reply.calls = result["calls"] || []
      reply
    end
  end
end
