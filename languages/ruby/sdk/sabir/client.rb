# frozen_string_literal: true

require "fcntl"
require "json"
require "socket"
require_relative "wire"

module Sabir
  # An SDK outside a worker: joins the project's running engine or starts a private one (spec/worker-protocol.md, 9).
  class Client
    # Seconds for connecting and the engine's first answer.
    DEADLINE = 10

    attr_reader :connection

    def initialize(socket, pid = nil)
      @socket = socket
      @pid = pid
      @test = nil # the test that the engine knows of
      @owner = Process.pid
      @connection = Connection.new(socket, socket)
      at_exit { close }
    end

    # Tells the engine of this process which test runs, when that has changed. Errors: Error, Closed.
    def tell_test
      return unless @pid && self.class.recorded?

      name = self.class.test_name
      return if name == @test

      @connection.request("recordings.use", { "name" => name }, [])
      @test = name
    end

    class << self
      def connect
        root = find_project
        environment = ENV["SABIR_ENV"].to_s.empty? ? "development" : ENV["SABIR_ENV"]
        socket = running(root, environment)
        if socket
          client = new(socket)
          begin
            client.hello(root)
            return client
          rescue Error
            # Another version, or an engine that is ending: a private one serves as well.
            client.close
          end
        end
        attach(root, environment)
      end

      # $SABIR_PROJECT, or the nearest folder upward that has sabir.yml. Errors: Error no_project.
      def find_project
        given = ENV["SABIR_PROJECT"]
        start = File.expand_path(given || Dir.pwd)
        folder = start
        until File.exist?(File.join(folder, "sabir.yml"))
          above = File.dirname(folder)
          if above == folder || given
            raise Error.new("no_project", "no Sabir project at #{start}#{" or above it" unless given}: there is no sabir.yml",
                            hint: "change into the project's folder, set SABIR_PROJECT, or make one with `sabir new`")
          end
          folder = above
        end
        folder
      end

      # Whether this process's calls are recorded or replayed.
      def recorded?
        %w[SABIR_RECORD SABIR_REPLAY].any? { |name| !ENV[name].to_s.empty? }
      end

      # The example that runs, "" outside of tests; a folder of recordings has a file for each.
      def test_name
        example = defined?(::RSpec) && ::RSpec.respond_to?(:current_example) && ::RSpec.current_example
        return ENV["SABIR_TEST_NAME"].to_s unless example

        "#{example.metadata[:file_path].delete_prefix("./")}::#{example.full_description}"
      end

      # The engine's binary: $SABIR_BIN, beside this library, on PATH. Errors: Error unavailable.
      def find_engine
        given = ENV["SABIR_BIN"].to_s
        unless given.empty?
          found = program(given)
          return found if found

          raise Error.new("unavailable", "the engine `sabir` was not found: SABIR_BIN names #{given}, which is no program",
                          hint: "set SABIR_BIN to the engine's path, or unset it")
        end
        program(File.join(__dir__, "bin", "sabir")) || program("sabir") ||
          raise(Error.new("unavailable", "the engine `sabir` was not found",
                          hint: "install it with `gem install sabir`, put it on PATH, or set SABIR_BIN to its path"))
      end

      private

      def program(name)
        paths = name.include?("/") ? [name] : ENV["PATH"].to_s.split(":").map { |folder| File.join(folder, name) }
        paths.find { |path| File.file?(path) && File.executable?(path) }
      end

      def running(root, environment)
        # What is recorded or replayed, has a store of its own or goes to an engine elsewhere is this process's own.
        return nil if recorded? || %w[SABIR_STATE_DIR SABIR_ENGINE].any? { |name| !ENV[name].to_s.empty? }

        published = JSON.parse(File.read(File.join(root, ".sabir", environment, "engine.json")))
        return nil unless published.is_a?(Hash) && published["format"] == 1

        address = Socket.sockaddr_un(published["socket"])
        socket = Socket.new(:UNIX, :STREAM)
        begin
          socket.connect_nonblock(address)
        rescue IO::WaitWritable
          unless socket.wait_writable(DEADLINE) && socket.getsockopt(:SOCKET, :ERROR).int.zero?
            socket.close
            return nil
          end
        end
        socket
      rescue SystemCallError, JSON::ParserError, ArgumentError, TypeError
        socket.close if socket && !socket.closed?
        nil
      end

      def attach(root, environment)
        binary = find_engine
        ours, theirs = UNIXSocket.pair
        # Ruby makes its sockets non-blocking, which is not for the engine to find out.
        theirs.fcntl(Fcntl::F_SETFL, theirs.fcntl(Fcntl::F_GETFL) & ~File::NONBLOCK)
        begin
          pid = Process.spawn({ "SABIR_FD" => theirs.fileno.to_s }, binary, "attach", "--project", root, "--env", environment,
                              theirs => theirs, :in => File::NULL, :out => File::NULL, :pgroup => true)
        rescue SystemCallError => e
          ours.close
          raise Error.new("unavailable", "the engine #{binary} does not start: #{e.message}",
                          hint: "set SABIR_BIN to the engine's path")
        ensure
          theirs.close
        end
        client = new(ours, pid)
        begin
          client.hello(root)
        rescue Exception
          client.close
          raise
        end
        client
      end
    end

    def hello(root)
      params = { "protocol" => { "min" => 1, "max" => 1 }, "role" => "client", "sdk" => VERSION, "language" => "ruby",
                 "project" => root }
      params["context"] = { "user" => ENV["SABIR_USER"] } unless ENV["SABIR_USER"].to_s.empty?
      # A silent engine loses its connection, which ends the wait.
      watch = Thread.new do
        sleep(DEADLINE)
        @socket.shutdown rescue nil
      end
      begin
        @connection.request("hello", params)
      ensure
        watch.kill
        watch.join
      end
    rescue Closed, FrameError
      raise Error.new("protocol", "the engine did not answer, or not within #{DEADLINE} seconds",
                      hint: "`sabir doctor` looks for the cause; its messages are on standard error")
    end

    # Ends the connection, and with it an engine of our own.
    def close
      return if @owner != Process.pid

      @connection.close
      pid, @pid = @pid, nil
      return unless pid

      50.times do
        return if Process.wait(pid, Process::WNOHANG)

        sleep(0.1)
      end
      Process.kill(:KILL, pid)
      Process.wait(pid)
    rescue SystemCallError
      nil
    end

    # In a forked child: lets go of the parent's connection.
    def abandon
      @connection.close
    end
  end
end
