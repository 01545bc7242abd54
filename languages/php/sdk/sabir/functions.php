<?php

declare(strict_types=1);

// The SDK's verbs. Inside a function that the engine calls, everything goes over the worker's connection, under the caller's
// context; in any other process (PHPUnit, a web application) over one to the project's engine. Errors are \Sabir\Error.

namespace Sabir;

/**
 * Calls a function of the project, in whatever language it is written.
 *
 * @param string $address "module.function", "function", or with a language in front: "ruby/module.function"
 * @param array<string, mixed> $arguments by name
 * @return mixed objects are stdClass
 */
function call(string $address, array $arguments = []): mixed
{
    return Channel::ask('functions.call', ['address' => $address, 'arguments' => (object) $arguments], 'arguments')->value;
}

/**
 * Calls a function and hands each value that it yields to $each, as it comes; one that yields nothing gives its one value.
 *
 * @param array<string, mixed> $arguments by name
 * @param callable(mixed): void $each
 */
function stream(string $address, array $arguments, callable $each): void
{
    $answer = Channel::ask('functions.call', ['address' => $address, 'arguments' => (object) $arguments, 'stream' => true], 'arguments', $each(...));
    if (!isset($answer->streamed)) {
        $each($answer->value);
    }
}

/** @return list<\stdClass> address, language, summary, effect, input_schema, output_schema */
function functions(): array
{
    return Channel::ask('functions.list', [])->functions;
}

/** A completion template's text with the variables filled in. */
function render(string $name, array $variables = []): string
{
    return Channel::ask('completions.render', ['name' => $name, 'variables' => (object) $variables], 'variables')->text;
}

/**
 * A model's completion.
 *
 * @param string|list<array{role: string, content: string}> $messages a text, or messages
 * @param string $model an alias of config/openai_config.yml; '' = the default
 * @return \stdClass content, tool_calls, finish_reason, model, provider, usage
 */
function complete(string|array $messages, string $model = '', array $tools = [], ?array $outputSchema = null, array $parameters = []): \stdClass
{
    $params = ['messages' => is_string($messages) ? [['role' => 'user', 'content' => $messages]] : $messages];
    $params += array_filter(['model' => $model, 'tools' => $tools, 'output_schema' => $outputSchema, 'parameters' => $parameters]);
    return Channel::ask('models.complete', $params, 'messages');
}

/**
 * An assistant's answer.
 *
 * @param string $conversation continues one; '' begins a new one
 * @return \stdClass content, conversation, model, calls
 */
function ask(string $assistant, string $message, string $conversation = ''): \stdClass
{
    return Channel::ask('assistants.run', ['name' => $assistant, 'message' => $message] + array_filter(['conversation' => $conversation]), 'message');
}

/** A secret's value, if the running function is granted it. Keep it out of results and logs. */
function secret(string $name): string
{
    return Channel::ask('secrets.get', ['name' => $name])->value;
}

/** Tells the caller how far the running call is; does nothing outside a worker. */
function progress(float $done, ?float $total = null, string $message = ''): void
{
    if (Channel::$worker !== null && Channel::$running !== null) {
        Channel::$worker->notify('progress', Json::text(['id' => Channel::$running, 'done' => $done] + array_filter(['total' => $total]) + ['message' => $message]));
    }
}

/** Writes one record into the engine's log; on standard error outside a worker. */
function log(string $message, string $level = 'info'): void
{
    if (Channel::$worker === null) {
        fwrite(STDERR, "$level: $message\n");
        return;
    }
    Channel::$worker->notify('log', Json::text(['level' => $level, 'message' => $message] + (Channel::$running === null ? [] : ['id' => Channel::$running])));
}

/** Whether the running call has been cancelled: a function that computes asks now and then. */
function cancelled(): bool
{
    return Channel::$cancelled !== null && (Channel::$cancelled)();
}

/** Ends this process's connection to the engine. */
function close(): void
{
    Channel::close();
}
