# frozen_string_literal: true

# Loads an application's boot file once and forks warm workers from what it has loaded (spec/worker-protocol.md §11).
# The engine starts it as `ruby boot.rb BOOT_FILE`; SABIR_FD is the socket on which it is asked for workers.

require_relative "worker"
require "socket"

module Sabir
  class BootProcess
    def initialize(socket, boot)
      @socket = socket
      @boot = boot
      @root = ENV["SABIR_PROJECT"] || Dir.pwd
      @writing = Mutex.new
    end

    def run
      existing = load_application
      return 1 if existing.nil?

      buffer = +""
      received = []
      loop do
        text, _, _, *control = @socket.recvmsg(65_536, 0, nil, scm_rights: true)
        return 0 if text.nil? || text.empty?

        control.each { |message| received.concat(message.unix_rights || []) }
        buffer << text
        while (line = buffer.slice!(/\A[^\n]*\n/))
          message = JSON.parse(line)
          if message.key?("fork")
            make_worker(message["fork"], existing, *received.shift(2))
          elsif message.key?("seen")
            report_end(message["seen"])
          end
        end
      end
    rescue SystemCallError
      0
    end

    private

    def load_application
      existing = ExistingCode.new(@boot, @root)
      Bundle.setup(File.dirname(@boot), @root)
      existing.boot
      disconnect
      Process.respond_to?(:warmup) ? Process.warmup : GC.start
      tell("ready" => true, "reloads" => existing.reloads?)
      existing
    rescue LoadFailed => e
      tell("failed" => { "type" => "load_failed", "message" => e.message, "hint" => e.hint, "file" => e.file, "line" => e.line })
      nil
    end

    # What the boot file opened is the parent's: each worker opens its own.
    def disconnect
      return unless defined?(::ActiveRecord::Base)

      ::ActiveRecord::Base.connection_handler.clear_all_connections!
    end

    def make_worker(ticket, existing, connection, output)
      pid = Process.fork { become_worker(existing, connection, output) }
      begin
        Process.setpgid(pid, pid)
      rescue SystemCallError
        nil # it has done so itself
      end
      [connection, output].each(&:close)
      tell("forked" => ticket, "pid" => pid)
    end

    def become_worker(existing, connection, output)
      Process.setpgid(0, 0)
      end_with_parent
      [$stdout, $stderr].each do |stream|
        stream.reopen(output)
        stream.sync = true
      end
      output.close
      @socket.close
      srand
      reader = IO.for_fd(connection.fileno, "rb", autoclose: false)
      writer = IO.for_fd(connection.fileno, "wb", autoclose: false)
      writer.sync = true
      connection.close_on_exec = true
      @connection = connection # keeps the descriptor
      Worker.run(Worker.new(reader, writer, existing))
    end

    # PR_SET_PDEATHSIG: no worker outlives the process that reaps it.
    def end_with_parent
      require "fiddle"
      types = [Fiddle::TYPE_INT, Fiddle::TYPE_LONG, Fiddle::TYPE_LONG, Fiddle::TYPE_LONG, Fiddle::TYPE_LONG]
      Fiddle::Function.new(Fiddle.dlopen(nil)["prctl"], types, Fiddle::TYPE_INT).call(1, 9, 0, 0, 0)
    rescue LoadError, Fiddle::DLError
      nil # the end of its connection ends it as well
    end

    def report_end(pid)
      Thread.new do
        _, status = Process.wait2(pid)
        tell("ended" => pid, "status" => status.exitstatus || -1, "signal" => status.termsig || 0)
      rescue SystemCallError
        nil
      end
    end

    def tell(message)
      @writing.synchronize { @socket.write("#{JSON.generate(message)}\n") }
    end
  end
end

number = ENV.delete("SABIR_FD").to_s
abort "sabir's boot process is started by the engine: SABIR_FD has to name its socket" unless number.match?(/\A\d+\z/) && ARGV.size == 1
socket = UNIXSocket.for_fd(number.to_i)
socket.close_on_exec = true
[$stdout, $stderr].each { |stream| stream.sync = true }
exit!(Sabir::BootProcess.new(socket, ARGV.first).run)
