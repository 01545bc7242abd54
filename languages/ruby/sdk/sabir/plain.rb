# frozen_string_literal: true

module Sabir
  # Ruby values to what JSON carries.
  module Plain
    BLOB = 65_536
    # Control characters but for those that lay text out.
    NO_TEXT = /[\x00-\x08\x0e-\x1f\x7f]/
    MAX_DEPTH = 200

    # A value that JSON cannot carry; `at` is a JSON Pointer to it.
    class Unfit < StandardError
      def initialize(at, why)
        super(at.empty? ? why : "#{at}: #{why}")
      end
    end

    module_function

    # Whether the JSON generator writes `value` as it should, without conversion and without blobs.
    def plain?(value, depth = 0)
      case value
      when String
        encoding = value.encoding
        value.bytesize < BLOB && (encoding == Encoding::UTF_8 || encoding == Encoding::US_ASCII) && value.valid_encoding?
      when Integer, true, false, nil then true
      when Float then value.finite?
      when Array
        return false if depth > 50

        value.each { |item| return false unless plain?(item, depth + 1) }
        true
      when Hash
        return false if depth > 50

        value.each do |key, item|
          return false unless (String === key || Symbol === key) && plain?(item, depth + 1)
        end
        true
      else false
      end
    end

    # A copy of `value` in JSON's own types, its large strings and byte sequences moved to `blobs`.
    # `at` is the value's JSON Pointer; `listed` receives the entries. Errors: Unfit.
    def convert(value, at, blobs, listed, depth = 0)
      raise Unfit.new(at[0, 100], "nested deeper than #{MAX_DEPTH} levels, or it contains itself") if depth > MAX_DEPTH

      case value
      when Integer, true, false, nil then value
      when String then string(value, at, blobs, listed)
      when Symbol then value.to_s
      when Float
        raise Unfit.new(at, "#{value} is not a JSON number") unless value.finite?

        value
      when Hash
        value.each_with_object({}) do |(key, item), hash|
          name = name_of(key, at)
          hash[name] = convert(item, "#{at}/#{name.gsub("~", "~0").gsub("/", "~1")}", blobs, listed, depth + 1)
        end
      when Array
        value.each_with_index.map { |item, index| convert(item, "#{at}/#{index}", blobs, listed, depth + 1) }
      else convert(simpler(value, at), at, blobs, listed, depth + 1)
      end
    end

    # Text is UTF-8. Much text has the encoding BINARY in Ruby (what sockets and files gave), so a binary string is a byte
    # sequence only if it is not UTF-8 or has characters that no text has.
    def string(value, at, blobs, listed)
      binary = value.encoding == Encoding::BINARY
      text = binary ? value.dup.force_encoding(Encoding::UTF_8) : value
      text = text.encode(Encoding::UTF_8) unless binary || value.encoding == Encoding::UTF_8
      fits = text.valid_encoding? && !(binary && text.match?(NO_TEXT))
      raise Unfit.new(at, "the string is not valid UTF-8; a byte sequence has the encoding BINARY") unless fits || binary

      if value.bytesize >= BLOB || text.bytesize >= BLOB
        blobs << text.b
        listed << { "at" => at, "type" => fits ? "string" : "bytes" }
        return nil
      end
      fits ? text : [value].pack("m0")
    rescue EncodingError => e
      raise Unfit.new(at, "the string has no UTF-8 form: #{e.message}")
    end

    def name_of(key, at)
      case key
      when String, Symbol, Numeric, true, false, nil
        name = key.to_s
        name = name.encode(Encoding::UTF_8) unless name.encoding == Encoding::UTF_8
        raise Unfit.new(at, "a key is not valid UTF-8") unless name.valid_encoding?

        name
      else raise Unfit.new(at, "a key of class #{class_name(key)} cannot be a JSON member's name")
      end
    rescue EncodingError
      raise Unfit.new(at, "a key is not valid UTF-8")
    end

    # One step from a value of another class towards JSON.
    def simpler(value, at)
      case value
      when Struct, Context then value.to_h
      when Time then value.nsec.zero? ? value.strftime("%Y-%m-%dT%H:%M:%S%:z") : value.strftime("%Y-%m-%dT%H:%M:%S.%6N%:z")
      when Rational then value.to_f
      when Exception, Module, Proc, Method, IO, Thread, Range then unfit(value, at)
      else other(value, at)
      end
    end

    def other(value, at)
      return value.iso8601 if value.respond_to?(:iso8601)
      return value.to_a if defined?(::Set) && value.is_a?(::Set)
      return value.to_s if defined?(::Pathname) && value.is_a?(::Pathname)

      if defined?(::BigDecimal) && value.is_a?(::BigDecimal)
        raise Unfit.new(at, "#{value} is not a JSON number") unless value.finite?

        return value.frac.zero? ? value.to_i : value.to_f
      end
      return value.to_h if value.respond_to?(:to_h)

      readers = readers_of(value)
      readers.empty? ? unfit(value, at) : readers
    end

    # What an object of a user's class shows of its state: its instance variables that have a reader.
    def readers_of(value)
      value.instance_variables.each_with_object({}) do |variable, shown|
        name = variable.to_s.delete_prefix("@")
        shown[name] = value.public_send(name) if value.respond_to?(name) && value.method(name).arity.zero?
      end
    end

    def unfit(value, at)
      raise Unfit.new(at, "a value of class #{class_name(value)} has no JSON form")
    end

    # The class's name without the anonymous module that a worker loads a file into.
    def class_name(value)
      ((value.is_a?(Module) ? value : value.class).name || "anonymous").sub(/\A#<[^>]+>::/, "")
    end
  end
end
