# frozen_string_literal: true

require_relative "wire"

module Sabir
  # Which connection the SDK's requests take: the worker's own, or this process's to an engine.
  #
  # Threads: any. A forked child makes its own connection.
  module Channel
    @worker = nil
    @client = nil
    @lock = Mutex.new
    @pid = Process.pid

    class << self
      # The worker's connection, set by worker.rb; nil in every other process.
      attr_reader :worker

      def worker=(connection)
        @worker = connection
        @pid = Process.pid
        @lock = Mutex.new
      end

      # One request to the engine. again: it may be repeated when the engine went away in between.
      def request(method, params, large: [], again: false)
        forked if Process.pid != @pid
        # A cancellation strikes between requests, never inside one; a wait ends by itself.
        return Thread.handle_interrupt(Cancelled => :never) { from_worker(method, params, large) } if @worker

        tries = 0
        begin
          client = connected
          client.tell_test
          client.connection.request(method, params.dup, large)
        rescue Closed => e
          drop(client)
          tries += 1
          retry if tries < 2 && (again || !e.sent)
          raise Error.new(e.sent ? "outcome_unknown" : "protocol",
                          "the engine went away during #{method}#{"; it may or may not have happened" if e.sent}",
                          hint: "try again; `sabir engine status` tells whether an engine runs")
        end
      end

      # Yields what comes before the answer of one request, as it comes.
      def stream(method, params, large, &block)
        forked if Process.pid != @pid
        unless @worker
          client = connected
          client.tell_test
          return client.connection.stream(method, params, large, &block)
        end

        Thread.handle_interrupt(Cancelled => :never) do
          @worker.stream(method, params, large) { |value| Thread.handle_interrupt(Cancelled => :immediate) { block.call(value) } }
        end
      rescue Closed
        raise Error.new("outcome_unknown", "the engine went away during #{method}; it may or may not have happened",
                        hint: "try again; `sabir engine status` tells whether an engine runs")
      end

      # A notification for the running call; false outside a worker.
      def notify(method, params)
        forked if Process.pid != @pid
        return false unless @worker

        params["id"] = @worker.parent unless @worker.parent.nil?
        return false if method == "progress" && !params.key?("id")

        Thread.handle_interrupt(Cancelled => :never) { @worker.notify(method, params) }
        true
      rescue SystemCallError, IOError
        false
      end

      # Ends this process's connection; the next request makes another.
      def close
        drop(@client) if @client
      end

      private

      def from_worker(method, params, large)
        @worker.request(method, params, large)
      rescue Closed
        raise Error.new("protocol", "the engine ended its connection during #{method}")
      end

      def connected
        @lock.synchronize do
          @client ||= begin
            require_relative "client"
            Client.connect
          end
        end
      end

      def drop(client)
        @lock.synchronize { @client = nil if @client.equal?(client) }
        client.close
      end

      # The parent goes on using both connections; the child's copies would mix their bytes.
      def forked
        @pid = Process.pid
        @lock = Mutex.new
        @worker.close if @worker
        @worker = nil
        @client.abandon if @client
        @client = nil
      end
    end
  end
end
