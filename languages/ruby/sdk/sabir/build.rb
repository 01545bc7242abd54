# frozen_string_literal: true

module Sabir
  # Makes a parameter's own value of what JSON carries, as the engine read from its type (spec/worker-protocol.md, §5).
  # What does not fit the type is left as it came: the engine has checked it where it could.
  module Build
    # A value that has no such form; becomes invalid_arguments.
    class Misfit < StandardError; end

    module_function

    # how: nil, a String or a Hash. space: the module that the function's file was loaded into.
    def make(how, value, space, open = nil)
      case how
      when nil then value
      when String then String === value || Numeric === value ? simple(how, value) : value
      else made(how, value, space, open)
      end
    end

    def simple(how, value)
      case how
      when "symbol" then String === value ? value.to_sym : value
      when "float" then Integer === value ? value.to_f : value
      when "time"
        require "time"
        String === value ? Time.iso8601(value) : value
      when "date"
        require "date"
        String === value ? Date.iso8601(value) : value
      when "datetime"
        require "date"
        String === value ? DateTime.iso8601(value) : value
      when "path"
        require "pathname"
        String === value ? Pathname.new(value) : value
      when "decimal"
        require "bigdecimal"
        BigDecimal(value.to_s)
      # As written: 0.1 is 1/10 and not the nearest binary fraction.
      when "rational" then Rational(value.to_s)
      else value
      end
    rescue ArgumentError, RangeError, FloatDomainError => e
      raise Misfit, "#{value.inspect[0, 60]} is no #{how}: #{e.message}"
    end

    def made(how, value, space, open)
      if (inner = how["any"])
        return made_any(inner, value, space, open)
      elsif how.key?("array")
        return Array === value ? value.map { |item| make(how["array"], item, space, open) } : value
      elsif how.key?("set")
        require "set"
        return Array === value ? value.to_set { |item| make(how["set"], item, space, open) } : value
      elsif (inner = how["tuple"])
        return Array === value ? value.each_with_index.map { |item, index| make(inner[index], item, space, open) } : value
      end
      return value unless Hash === value

      if how.key?("hash")
        made = value.transform_values { |item| make(how["hash"], item, space, open) }
        how["symbols"] ? made.transform_keys!(&:to_sym) : made
      elsif (inner = how["record"])
        value.each_with_object({}) { |(name, item), hash| hash[name.to_sym] = make(inner[name], item, space, open) }
      elsif (name = how["again"])
        open && open[name] ? object(open[name], value, space, open) : value
      else
        object(how, value, space, (open || {}).merge(how["class"] => how))
      end
    end

    # The first way that fits the value's kind.
    def made_any(ways, value, space, open)
      way = ways.find { |one| fits?(one, value) }
      way.nil? ? value : make(way, value, space, open)
    end

    def fits?(how, value)
      case how
      when "float", "rational" then Numeric === value
      when "decimal" then Numeric === value || String === value
      when String then String === value
      else
        return Array === value if how.key?("array") || how.key?("set") || how.key?("tuple")
        return false unless Hash === value
        return value.keys.all? { |name| how["order"].include?(name) } if how.key?("order")

        !how.key?("record") || value.keys.all? { |name| how["record"].key?(name) }
      end
    end

    def object(how, value, space, open)
      members = how["members"] || {}
      given = value.select { |name, _| how["order"].include?(name) }
      given = given.each_with_object({}) { |(name, item), hash| hash[name] = make(members[name], item, space, open) }
      type = how["class"].split("::").inject(space) { |at, part| at.const_get(part, true) }
      case how["made"]
      when "keywords" then type.new(**given.transform_keys(&:to_sym))
      when "setters" then type.new.tap { |made| given.each { |name, item| made.public_send("#{name}=", item) } }
      else
        # Positions end with the last one that is given; what lies before it and is absent is nil.
        last = how["order"].rindex { |name| given.key?(name) }
        type.new(*how["order"][0..(last || -1)].first(last ? last + 1 : 0).map { |name| given[name] })
      end
    rescue NameError => e
      raise Misfit, "#{how["class"]} cannot be made: #{e.message}"
    end
  end
end
