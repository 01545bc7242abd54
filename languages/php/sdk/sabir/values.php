<?php

declare(strict_types=1);

namespace Sabir;

const VERSION = '0.1.0';

/** A byte sequence: PHP's strings alone do not say whether they are text. */
final class Bytes implements \Stringable
{
    public function __construct(public readonly string $data)
    {
    }

    public function __toString(): string
    {
        return $this->data;
    }
}

/** An integer beyond PHP's 64 bits, exact: for gmp_init or bcmath. */
final class BigInteger implements \Stringable
{
    public readonly string $digits;

    public function __construct(string $digits)
    {
        if (!preg_match('/\A-?(?:0|[1-9][0-9]*)\z/', $digits)) {
            throw new \InvalidArgumentException("'$digits' is no integer");
        }
        $this->digits = $digits;
    }

    public function __toString(): string
    {
        return $this->digits;
    }
}

/** Who a call is made for. A parameter of this type is filled in by the engine and is no argument. */
final class Context
{
    public function __construct(
        public readonly string $user = '',
        public readonly string $tenant = '',
        public readonly string $conversation = '',
        public readonly string $run = '',
    ) {
    }

    /** Whether the running call has been cancelled: a function that computes asks now and then. */
    public function cancelled(): bool
    {
        return cancelled();
    }
}

/** What the engine, or a function it called, answered. */
class Error extends \RuntimeException
{
    /**
     * @param string $type in snake_case: unknown_function, timeout, …
     * @param string $hint what to do next, or ''
     * @param array<string, mixed> $data particulars
     */
    public function __construct(public readonly string $type, string $message, public readonly string $hint = '', public readonly array $data = [])
    {
        parent::__construct($message);
    }
}
