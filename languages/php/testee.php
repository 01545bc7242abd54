<?php

// What the conformance runner calls. conformance/README.md describes each function.

declare(strict_types=1);

namespace Testee;

use Sabir\Bytes;
use Sabir\Context;

class TesteeError extends \Exception
{
}

enum Colour: string
{
    case Red = 'red';
}

final class Point
{
    public function __construct(public readonly float $x, public readonly float $y)
    {
    }
}

/** Its argument. */
function echo_(mixed $value): mixed
{
    return $value;
}

/** a - b. */
function subtract(int|float $a, int|float $b): int|float
{
    return $a - $b;
}

/** The greeting and the caller's user, joined by a space. */
function context_user(string $greeting, Context $context): string
{
    return "$greeting {$context->user}";
}

/** The whole context. */
function context_fields(Context $context): mixed
{
    return $context;
}

/** Throws an error with that text. */
function fail(string $message): never
{
    throw new TesteeError($message); // conformance: fail
}

/** NaN, which JSON cannot carry. */
function not_a_number(): mixed
{
    return ['list' => [1, NAN]];
}

/** A value without any JSON form. */
function unfit(): mixed
{
    return static fn() => 1;
}

/** Yields 0 … n - 1. */
function count(int $n): \Generator
{
    for ($number = 0; $number < $n; $number++) {
        yield $number;
    }
}

/** `size` bytes of text. */
function text_of(int $size): string
{
    return str_repeat('é', intdiv($size, 2)) . str_repeat('x', $size % 2);
}

/** `size` bytes, each its index modulo 256. */
function bytes_of(int $size): Bytes
{
    $all = implode('', array_map('chr', range(0, 255)));
    return new Bytes(substr(str_repeat($all, intdiv($size, 256) + 1), 0, $size));
}

/** Characters of a string, bytes of a byte sequence. */
function length(mixed $value): int
{
    return $value instanceof Bytes ? strlen($value->data) : mb_strlen($value);
}

/** Bytes, text or other. */
function kind(mixed $value): string
{
    return $value instanceof Bytes ? 'bytes' : (is_string($value) ? 'text' : 'other');
}

/** Writes to standard output and standard error, which are the log. */
function print_line(string $text): string
{
    echo $text, "\n";
    fwrite(STDERR, "$text\n");
    return $text;
}

/** Waits without talking to the engine. */
function sleep(int $milliseconds): int
{
    usleep($milliseconds * 1000);
    return $milliseconds;
}

/** functions.call of the engine. */
function call_engine(string $address, object $arguments): mixed
{
    return \Sabir\call($address, (array) $arguments);
}

/** The engine's error as a value. */
function call_engine_caught(string $address): mixed
{
    try {
        return ['value' => \Sabir\call($address)];
    } catch (\Sabir\Error $error) {
        return ['type' => $error->type, 'message' => $error->getMessage()];
    }
}

/** One progress and one log notification before the answer. */
function report(string $message): string
{
    \Sabir\progress(1, 2, $message);
    \Sabir\log($message);
    return $message;
}

/** How often this ran in this worker. */
function count_run(bool $look = false): int
{
    static $runs = 0;
    return $look ? $runs : ++$runs;
}

/** How often count_run ran in this worker. */
function runs(): int
{
    return count_run(true);
}

/** The language's own structured types. */
function structured(): mixed
{
    return ['point' => new Point(1.5, 2.0), 'colour' => Colour::Red];
}

/** The moment an hour later. */
function an_hour_later(\DateTimeImmutable $moment): \DateTimeImmutable
{
    return $moment->modify('+1 hour');
}
