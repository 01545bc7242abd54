# frozen_string_literal: true

require_relative "load"

module Sabir
  # Code that was not written for the engine (`sources` of sabir.yml): loaded as its application loads it, under its own
  # constants.
  class ExistingCode
    # A method of a class that needs nothing to be made: each call has an object of its own.
    class OfNewObject
      def initialize(owner, name)
        @owner = owner
        @name = name
        @method = owner.instance_method(name)
      end

      def parameters
        @method.parameters
      end

      def source_location
        @method.source_location
      end

      def call(*positional, **named)
        named.empty? ? @owner.new.public_send(@name, *positional) : @owner.new.public_send(@name, *positional, **named)
      end
    end

    attr_writer :sources
    # Called when the application has dropped its classes to load them anew.
    attr_accessor :on_reload

    def initialize(boot, root)
      @boot = boot
      @root = root
      @sources = []
      @booted = boot.nil?
    end

    def serves?(path)
      @sources.any? { |source| path == source || path.start_with?("#{source}/") }
    end

    # Loads the boot file, once. Errors: LoadFailed.
    def boot
      return if @booted

      # An application that asks for its own environment gets the engine's.
      environment = ENV["RAILS_ENV"] || ENV["RACK_ENV"] || ENV["SABIR_ENV"]
      ENV["RAILS_ENV"] ||= environment
      ENV["RACK_ENV"] ||= environment
      begin
        require @boot
      rescue Exception => e
        raise e if e.is_a?(SignalException)

        raise UserFile.failure(@boot, @root, e)
      end
      @booted = true
      # Rails runs the block with another self.
      existing = self
      reloader.after_class_unload { existing.on_reload&.call } if reloads?
    end

    # Whether the application loads changed classes anew by itself, as Rails does in development.
    def reloads?
      return false unless application

      config = application.config
      config.respond_to?(:reloading_enabled?) ? config.reloading_enabled? : !config.cache_classes
    end

    # A call as the application would run a request: inside its executor, and with changed code loaded anew.
    def around(&block)
      return yield unless application

      reloads? ? reloader.wrap(&block) : application.executor.wrap(&block)
    end

    # What a call runs; nil when it is not there. Errors: LoadFailed.
    def find(path, receiver, name)
      of_object = receiver.end_with?(".new")
      receiver = receiver.delete_suffix(".new")
      if receiver.empty?
        load_file(path)
        main = TOPLEVEL_BINDING.receiver
        return main.respond_to?(name, true) ? main.method(name) : nil
      end
      owner = constant(receiver, path) || (load_file(path) && constant(receiver, path))
      return nil if owner.nil?
      return owner.method_defined?(name) ? OfNewObject.new(owner, name) : nil if of_object

      owner.respond_to?(name) ? owner.method(name) : nil
    end

    private

    def application
      return nil unless @boot && defined?(::Rails) && ::Rails.respond_to?(:application)

      ::Rails.application
    end

    def reloader
      application&.reloader
    end

    # nil when there is no such constant; what its file raises is told.
    def constant(name, path)
      Object.const_get(name)
    rescue NameError => e
      parts = name.split("::")
      return nil if e.is_a?(NameError) && !e.is_a?(NoMethodError) && parts.include?(e.name.to_s)

      raise UserFile.failure(path, @root, e)
    rescue StandardError, ScriptError => e
      raise UserFile.failure(path, @root, e)
    end

    def load_file(path)
      require path
      true
    rescue StandardError, ScriptError => e
      raise UserFile.failure(path, @root, e)
    end
  end
end
