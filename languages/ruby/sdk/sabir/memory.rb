# frozen_string_literal: true

module Sabir
  # The project's memory: the same data from every language, scoped by the caller's context.
  module Memory
    # One stored item; updated_ms is Unix milliseconds.
    Item = Struct.new(:key, :value, :version, :updated_ms)

    # Items in the order of their keys; also read by key: items["colour"], items.to_h.
    class Items < Array
      def [](key, *rest)
        return super unless key.is_a?(String)

        found = find { |item| item.key == key }
        found && found.value
      end

      def key?(key)
        any? { |item| item.key == key }
      end

      def keys
        map(&:key)
      end

      def to_h
        each_with_object({}) { |item, hash| hash[item.key] = item.value }
      end
    end

    PAGE = 500

    module_function

    # Stores a JSON value and returns its version, 1 for a new key.
    # if_version: store only when the present version is this one (0: only when the key is new), else Error "conflict".
    # ttl: seconds after which the item is gone.
    def put(key, value, namespace: "default", if_version: nil, ttl: nil)
      params = { "namespace" => namespace.to_s, "key" => key.to_s, "value" => value }
      params["if_version"] = if_version unless if_version.nil?
      params["ttl_ms"] = (ttl * 1000).to_i unless ttl.nil?
      Channel.request("memory.put", params, large: ["value"])["version"]
    end

    # The value stored under `key`, or `default`.
    def get(key, namespace: "default", default: nil)
      result = Channel.request("memory.get", { "namespace" => namespace.to_s, "key" => key.to_s }, again: true)
      result["found"] ? result["value"] : default
    end

    # All items whose key starts with `prefix`, as Items.
    def list(prefix = "", namespace: "default")
      found = Items.new
      after = nil
      loop do
        params = { "namespace" => namespace.to_s, "prefix" => prefix.to_s, "limit" => PAGE }
        params["after"] = after if after
        page = Channel.request("memory.list", params, again: true)["items"]
        page.each { |item| found << Item.new(item["key"], item["value"], item["version"], item["updated_ms"]) }
        return found if page.size < PAGE

        after = page.last["key"]
      end
    end

    # Removes an item; whether there was one.
    def delete(key, namespace: "default")
      Channel.request("memory.delete", { "namespace" => namespace.to_s, "key" => key.to_s })["deleted"]
    end

    # Adds a message {role:, content:} to a conversation's log and returns its number.
    def append(conversation, message)
      Channel.request("memory.append", { "conversation" => conversation.to_s, "message" => message }, large: ["message"])["seq"]
    end

    # A conversation's last messages, oldest first.
    def messages(conversation, limit: 50)
      result = Channel.request("memory.messages", { "conversation" => conversation.to_s, "limit" => limit }, again: true)
      result["messages"].map { |entry| entry["message"] }
    end
  end
end
