# frozen_string_literal: true

module Sabir
  # The running call was cancelled: raised in the function wherever it is, so that its `ensure` parts run. No StandardError,
  # so that `rescue => e` lets it pass.
  class Cancelled < Exception
    def initialize(message = "the call was cancelled")
      super
    end
  end

  # What the engine, or a function it called, answered.
  #
  # type: the error's name in snake_case, as docs/errors.md lists them ("unknown_function", "timeout", …).
  # hint: what to do next, or "". data: particulars, a Hash with String keys.
  class Error < StandardError
    attr_reader :type, :hint, :data

    # The text without place and hint.
    attr_reader :plain_message

    def initialize(type, message = nil, hint: "", data: {})
      @type = type.to_s
      @plain_message = message || @type
      @hint = hint || ""
      @data = data || {}
      super(text)
    end

    def file
      data["file"] || ""
    end

    def line
      data["line"] || 0
    end

    def self.from_wire(error)
      return new("protocol", "the engine answered with a malformed error") unless error.is_a?(Hash)

      data = error["data"].is_a?(Hash) ? error["data"].dup : {}
      type = data.delete("type") || "internal"
      new(type, error["message"].to_s, hint: data.delete("hint").to_s, data: data)
    end

    private

    def text
      place = file.empty? ? "" : "#{file}:#{line}: "
      hint.empty? ? "#{place}#{plain_message}" : "#{place}#{plain_message} (#{hint})"
    end
  end
end
