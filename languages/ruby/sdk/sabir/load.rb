# frozen_string_literal: true

require_relative "plain"

module Sabir
  # A user's file does not load; file and line say where.
  class LoadFailed < StandardError
    attr_reader :hint, :file, :line, :error

    def initialize(message, hint, file, line, error)
      super(message)
      @hint = hint
      @file = file
      @line = line
      @error = error
    end
  end

  # A user's file, loaded into a module of its own, so that two files may each have a function of one name. What its
  # classes call without a receiver is found as in plain Ruby: its functions are also defined on Object, as far as
  # nothing there has their name.
  class UserFile
    # Where a receiver's constants and top-level functions live.
    attr_reader :space, :main

    def initialize(path, root)
      @path = path
      @root = root
      load_wrapped
      publish
    end

    # The Method for a name, on the module or class `receiver` when that is not empty; nil when it is not there.
    def find(receiver, name)
      target = receiver.empty? ? @main : receiver.split("::").inject(@space) { |at, part| at.const_get(part, at.equal?(@space)) }
      # What every object has is no function of the file.
      method = target.method(name) if target.respond_to?(name, true)
      return nil if method.nil? || method.source_location.nil?
      return nil if receiver.empty? && !@space.method_defined?(name) && !@space.private_method_defined?(name)

      method
    rescue NameError
      nil
    end

    def self.shown(path, root)
      !root.empty? && path.start_with?("#{root}/") ? path[root.size + 1..-1] : path
    end

    # [file, line] of the innermost frame in the user's own code, or nil.
    def self.place_of(error, root, file)
      (error.backtrace_locations || []).each do |frame|
        path = frame.absolute_path || frame.path
        next if path.nil?
        return [path, frame.lineno] if path == file
        return [path, frame.lineno] if !root.empty? && path.start_with?("#{root}/") && !path[root.size..-1].match?(%r{/(?:vendor|gems|\.)})
      end
      nil
    end

    # What to raise when the file `path` raises `error` while it is loaded.
    def self.failure(path, root, error)
      message = error.message.dup.force_encoding(Encoding::UTF_8).scrub
      file, line = place_of(error, root, path)
      hint = ""
      if error.is_a?(SyntaxError)
        if (match = message.match(/\A(.+?):(\d+): ?(.*)/m))
          file, line, message = match[1], match[2].to_i, match[3].lines.first.to_s.strip
        end
        hint = "correct the syntax there"
      elsif error.is_a?(LoadError)
        hint = "add the gem that has `#{error.path}` to the Gemfile and run `sabir setup`" if error.path
      end
      LoadFailed.new("#{shown(path, root)} does not load: #{Plain.class_name(error)}: #{message}", hint,
                     shown(file || path, root), line || 1, error)
    end

    private

    def load_wrapped
      unless File.file?(@path)
        raise LoadFailed.new("#{shown} is gone", "restore the file, or call another function", shown, 1, nil)
      end

      found = nil
      # Ruby before 3.1 tells a wrapped file's module only from inside.
      trace = TracePoint.new(:line) do |point|
        if found.nil? && point.path == @path
          found = [point.binding.eval("Module.nesting").last, point.self]
          own_visibility(*found)
        end
      end
      trace.enable { Kernel.load(@path, true) }
      @space, @main = found || [Module.new, Object.new]
    rescue LoadFailed
      raise
    rescue Exception => e
      raise self.class.failure(@path, @root, e)
    end

    # `private def x` of a wrapped file names a method of its module; Ruby's own looks for it in Object. Without a name there
    # is nothing to do: what a file's top level defines is private anyway.
    def own_visibility(space, main)
      %i[private public].each do |word|
        main.define_singleton_method(word) do |*names|
          space.send(word, *names) unless names.empty?
          names.size > 1 ? names : names.first
        end
      end
    end

    def publish
      @space.instance_methods(false).concat(@space.private_instance_methods(false)).each do |name|
        next if Object.method_defined?(name) || Object.private_method_defined?(name)

        Object.send(:define_method, name, @space.instance_method(name))
        Object.send(:private, name)
      end
    end

    def shown
      self.class.shown(@path, @root)
    end
  end
end
