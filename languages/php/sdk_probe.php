<?php

// Does through the SDK what tests/languages/sdk_behaviour.json asks.

declare(strict_types=1);

namespace SdkProbe;

use Sabir\Context;
use Sabir\Memory;

/** The SDK's call. */
function probe_call(string $address, object $arguments): mixed
{
    return \Sabir\call($address, (array) $arguments);
}

/** @return array{type: string, message: string, hint: string} */
function probe_call_error(string $address, object $arguments): array
{
    try {
        \Sabir\call($address, (array) $arguments);
    } catch (\Sabir\Error $error) {
        return ['type' => $error->type, 'message' => $error->getMessage(), 'hint' => $error->hint];
    }
    throw new \LogicException('there was no error');
}

/** @return list<string> */
function probe_functions(): array
{
    $addresses = array_map(static fn(object $one) => $one->address, \Sabir\functions());
    sort($addresses);
    return $addresses;
}

function probe_put(string $key, mixed $value, string $namespace = ''): int
{
    return Memory::put($key, $value, $namespace);
}

function probe_put_if(string $key, mixed $value, int $version): object
{
    try {
        return (object) ['version' => Memory::put($key, $value, ifVersion: $version)];
    } catch (\Sabir\Error $error) {
        return (object) ['type' => $error->type];
    }
}

function probe_get(string $key, string $namespace = ''): mixed
{
    return Memory::get($key, namespace: $namespace);
}

/** @return list<array{key: string, value: mixed}> */
function probe_list(string $prefix): array
{
    return array_map(static fn(object $one) => ['key' => $one->key, 'value' => $one->value], Memory::list($prefix));
}

function probe_delete(string $key): bool
{
    return Memory::delete($key);
}

function probe_append(string $conversation, string $role, string $content): int
{
    return Memory::append($conversation, $role, $content);
}

/** @return list<object> */
function probe_messages(string $conversation, int $limit = 0): array
{
    return Memory::messages($conversation, $limit);
}

function probe_render(string $name, object $variables): string
{
    return \Sabir\render($name, (array) $variables);
}

function probe_complete(string $prompt): string
{
    return \Sabir\complete($prompt)->content;
}

/** @return array{content: string, conversation_is_set: bool} */
function probe_ask(string $assistant, string $message): array
{
    $answer = \Sabir\ask($assistant, $message);
    return ['content' => $answer->content, 'conversation_is_set' => $answer->conversation !== ''];
}

/** @secrets probe_secret */
function probe_secret(string $name): string
{
    return \Sabir\secret($name);
}

function probe_secret_error(string $name): string
{
    try {
        \Sabir\secret($name);
    } catch (\Sabir\Error $error) {
        return $error->type;
    }
    return '';
}

function probe_progress(int $steps): int
{
    for ($step = 1; $step <= $steps; $step++) {
        \Sabir\progress($step, $steps);
    }
    return $steps;
}

function probe_log(string $message): string
{
    \Sabir\log($message);
    return $message;
}

function probe_context(Context $context): object
{
    return $context;
}
