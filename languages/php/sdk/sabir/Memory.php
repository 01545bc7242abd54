<?php

declare(strict_types=1);

namespace Sabir;

/** The project's one store, which every language shares. */
final class Memory
{
    private static function within(string $namespace, array $params): array
    {
        return $namespace === '' ? $params : ['namespace' => $namespace] + $params;
    }

    /**
     * Stores a value and gives its version.
     *
     * @param ?int $ifVersion only when the item has this version; 0: only when the key is new. Else an Error of type conflict.
     * @param ?float $ttl seconds until it is forgotten
     */
    public static function put(string $key, mixed $value, string $namespace = '', ?int $ifVersion = null, ?float $ttl = null): int
    {
        $params = self::within($namespace, ['key' => $key, 'value' => $value]);
        if ($ifVersion !== null) {
            $params['if_version'] = $ifVersion;
        }
        if ($ttl !== null) {
            $params['ttl_ms'] = (int) round($ttl * 1000);
        }
        return Channel::ask('memory.put', $params, 'value')->version;
    }

    /** An item's value, or $default when there is none. */
    public static function get(string $key, mixed $default = null, string $namespace = ''): mixed
    {
        $answer = Channel::ask('memory.get', self::within($namespace, ['key' => $key]));
        return $answer->found ? $answer->value : $default;
    }

    /** @return list<\stdClass> key, value, version, updated_ms, in the order of their keys */
    public static function list(string $prefix = '', string $namespace = ''): array
    {
        $all = [];
        $after = [];
        do {
            $items = Channel::ask('memory.list', self::within($namespace, ['prefix' => $prefix, 'limit' => 1000] + $after))->items;
            array_push($all, ...$items);
            $after = $items === [] ? [] : ['after' => end($items)->key];
        } while (count($items) === 1000);
        return $all;
    }

    /** Whether there was such an item. */
    public static function delete(string $key, string $namespace = ''): bool
    {
        return Channel::ask('memory.delete', self::within($namespace, ['key' => $key]))->deleted;
    }

    /** Adds a message to a conversation's log and gives its number. */
    public static function append(string $conversation, string $role, string $content): int
    {
        return Channel::ask('memory.append', ['conversation' => $conversation, 'message' => ['role' => $role, 'content' => $content]], 'message')->seq;
    }

    /** @return list<\stdClass> role and content of the last messages, oldest first */
    public static function messages(string $conversation, int $limit = 0): array
    {
        $answer = Channel::ask('memory.messages', ['conversation' => $conversation] + array_filter(['limit' => $limit]));
        return array_map(static fn(\stdClass $one) => $one->message, $answer->messages);
    }
}
