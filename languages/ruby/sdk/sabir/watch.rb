# frozen_string_literal: true

module Sabir
  # Reads a worker's connection while a call runs for long, so that its cancellation is noticed. A call that is over within
  # two ticks costs two locks and wakes nobody.
  class Watch
    TICK = 0.02
    QUIET_TICKS = 5 # without a call, after which it sleeps until the next

    def initialize(connection)
      @connection = connection
      @lock = Mutex.new
      @changed = ConditionVariable.new
      @number = 0 # of calls so far
      @busy = false
      @idle = true
      @reading = false
    end

    # The main thread begins a call.
    def begin
      @number += 1
      @busy = true
      wake if @idle
    end

    # The main thread has ended it; nobody else reads when this returns.
    def finish
      @busy = false
      return unless @reading

      @lock.synchronize do
        next unless @reading

        @wake_writer.write("x")
        @changed.broadcast
        @changed.wait(@lock) while @reading
        @wake_reader.read_nonblock(1, exception: false)
      end
    end

    private

    def wake
      @lock.synchronize do
        @idle = false
        @thread ? @changed.broadcast : start
      end
    end

    def start
      @wake_reader, @wake_writer = IO.pipe
      @thread = Thread.new { run }
    end

    def run
      seen = 0
      quiet = 0
      while true
        sleep TICK
        number = @number
        busy = @busy
        quiet = number == seen && !busy ? quiet + 1 : 0
        watch(number) if busy && number == seen
        seen = number
        pause if quiet >= QUIET_TICKS
      end
    end

    # The flag comes before the look, here and in watch(): the main thread sets its own before it looks at these, without a lock.
    def pause
      @lock.synchronize do
        @idle = true
        @idle = false if @busy
        @changed.wait(@lock) while @idle
      end
    end

    # Whether call `number` still runs, from now on with its connection read here.
    def claim(number)
      @lock.synchronize do
        @reading = true
        return true if @busy && @number == number

        @reading = false
        @changed.broadcast
        false
      end
    end

    # Reads until call `number` is over.
    def watch(number)
      return unless @connection.acquire

      return @connection.release unless claim(number)

      alive = @connection.receive_available(false)
      while alive
        ready, = IO.select([@connection.reader, @wake_reader])
        break if ready.include?(@wake_reader)

        alive = @connection.receive_available(true)
      end
      # The main thread meets the connection's end itself.
      @connection.release
      @lock.synchronize do
        @changed.wait(@lock) while !alive && @busy && @number == number
        @reading = false
        @changed.broadcast
      end
    rescue IOError, SystemCallError
      @connection.release
      @lock.synchronize { @reading = false; @changed.broadcast }
    end
  end
end
