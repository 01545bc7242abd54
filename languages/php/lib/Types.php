<?php

declare(strict_types=1);

namespace Sabir\Reader;

/** What JSON cannot carry, or what is unknown: the reason. */
final class Problem extends \Exception
{
}

/**
 * Types of signatures and PHPDoc: text -> type -> JSON Schema.
 *
 * A type is an array with `k`: mixed, null, bool, int (min, max), float, string, literal (value), list (of), map (of), tuple (items),
 * shape (members: name -> [type, optional]), union (of), class (name, fully qualified), bytes, datetime, context, stream (of), object.
 */
final class Types
{
    private const DEEPEST = 32;

    private string $text = '';
    private int $at = 0;
    /** @var callable(string): string */
    private $resolve;

    /** @param callable(string): string $resolve a class name as written -> fully qualified, without the leading backslash */
    public static function parse(string $text, callable $resolve): array
    {
        $parser = new self();
        $parser->text = $text;
        $parser->resolve = $resolve;
        $type = $parser->unionOf(0);
        $parser->space();
        if ($parser->at < strlen($text)) {
            throw new Problem("the type $text is not understood");
        }
        return $type;
    }

    /** The type at the beginning of a doc tag's text, and what follows it. */
    public static function parsePrefix(string $text, callable $resolve): array
    {
        $parser = new self();
        $parser->text = $text;
        $parser->resolve = $resolve;
        $type = $parser->unionOf(0);
        return [$type, ltrim(substr($text, $parser->at))];
    }

    public static function union(array ...$types): array
    {
        $flat = [];
        foreach ($types as $type) {
            foreach ($type['k'] === 'union' ? $type['of'] : [$type] as $one) {
                if (!in_array($one, $flat, true)) {
                    $flat[] = $one;
                }
            }
        }
        foreach ($flat as $one) {
            if ($one['k'] === 'mixed') {
                return ['k' => 'mixed'];
            }
        }
        return count($flat) === 1 ? $flat[0] : ['k' => 'union', 'of' => $flat];
    }

    private function space(): void
    {
        $this->at += strspn($this->text, " \t\r\n*", $this->at);
    }

    private function take(string $what): bool
    {
        $start = $this->at;
        $this->space();
        if (substr_compare($this->text, $what, $this->at, strlen($what)) === 0) {
            $this->at += strlen($what);
            return true;
        }
        $this->at = $start;
        return false;
    }

    private function need(string $what): void
    {
        if (!$this->take($what)) {
            throw new Problem("the type {$this->text} is not understood: '$what' is missing");
        }
    }

    private function unionOf(int $depth): array
    {
        if ($depth > self::DEEPEST) {
            throw new Problem('the type is nested too deeply');
        }
        $all = [$this->postfix($depth)];
        while (true) {
            $start = $this->at;
            if ($this->take('|')) {
                $all[] = $this->postfix($depth);
            } elseif ($this->take('&') && !str_starts_with(ltrim(substr($this->text, $this->at)), '$')) {
                throw new Problem('an intersection of types has no form in JSON');
            } else {
                $this->at = $start;
                break;
            }
        }
        return self::union(...$all);
    }

    private function postfix(int $depth): array
    {
        $type = $this->atom($depth);
        while (substr_compare($this->text, '[]', $this->at, 2) === 0) {
            $this->at += 2;
            $type = ['k' => 'list', 'of' => $type];
        }
        return $type;
    }

    private function atom(int $depth): array
    {
        if ($depth > self::DEEPEST) {
            throw new Problem('the type is nested too deeply');
        }
        if ($this->take('?')) {
            return self::union($this->postfix($depth + 1), ['k' => 'null']);
        }
        if ($this->take('(')) {
            $inner = $this->unionOf($depth + 1);
            $this->need(')');
            return $inner;
        }
        $this->space();
        $rest = substr($this->text, $this->at);
        if (preg_match('/\A(?:\'((?:[^\'\\\\]|\\\\.)*)\'|"((?:[^"\\\\]|\\\\.)*)")/', $rest, $match)) {
            $this->at += strlen($match[0]);
            return ['k' => 'literal', 'value' => stripslashes($match[2] ?? $match[1])];
        }
        if (preg_match('/\A-?\d+\.\d+/', $rest, $match)) {
            $this->at += strlen($match[0]);
            return ['k' => 'literal', 'value' => (float) $match[0]];
        }
        if (preg_match('/\A-?\d+/', $rest, $match)) {
            $this->at += strlen($match[0]);
            return ['k' => 'literal', 'value' => (int) $match[0]];
        }
        if (!preg_match('/\A[\\\\A-Za-z_\x80-\xff][\\\\\w\x80-\xff-]*/', $rest, $match)) {
            throw new Problem("the type {$this->text} is not understood");
        }
        $name = rtrim($match[0], '-');
        $this->at += strlen($name);
        return $this->named($name, $depth);
    }

    /** The types between < and >. */
    private function arguments(int $depth): array
    {
        if (!$this->take('<')) {
            return [];
        }
        $all = [];
        do {
            $all[] = $this->unionOf($depth + 1);
        } while ($this->take(','));
        $this->need('>');
        return $all;
    }

    private function named(string $name, int $depth): array
    {
        $integer = fn(?int $min, ?int $max) => ['k' => 'int', 'min' => $min, 'max' => $max];
        switch (strtolower($name)) {
            case 'int':
            case 'integer':
                return $this->integerRange() ?? $integer(null, null);
            case 'positive-int':
                return $integer(1, null);
            case 'non-negative-int':
                return $integer(0, null);
            case 'negative-int':
                return $integer(null, -1);
            case 'non-positive-int':
                return $integer(null, 0);
            case 'float':
            case 'double':
                return ['k' => 'float'];
            case 'numeric':
            case 'number':
                return ['k' => 'float'];
            case 'string':
            case 'class-string':
            case 'lowercase-string':
                $this->arguments($depth);
                return ['k' => 'string'];
            case 'non-empty-string':
            case 'non-falsy-string':
            case 'truthy-string':
                return ['k' => 'string', 'least' => 1];
            case 'numeric-string':
                return ['k' => 'string', 'pattern' => '^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$'];
            case 'bool':
            case 'boolean':
                return ['k' => 'bool'];
            case 'true':
                return ['k' => 'literal', 'value' => true];
            case 'false':
                return ['k' => 'literal', 'value' => false];
            case 'scalar':
                return self::union(['k' => 'bool'], ['k' => 'float'], ['k' => 'string']);
            case 'array-key':
                return self::union($integer(null, null), ['k' => 'string']);
            case 'null':
            case 'void':
                return ['k' => 'null'];
            case 'never':
                return ['k' => 'null'];
            case 'mixed':
                return ['k' => 'mixed'];
            case 'object':
            case '\stdclass':
            case 'stdclass':
                return $this->take('{') ? $this->shape($depth) : ['k' => 'object'];
            case 'list':
            case 'non-empty-list':
                return $this->listOf($this->arguments($depth), strtolower($name) !== 'list');
            case 'array':
            case 'non-empty-array':
                if ($this->take('{')) {
                    return $this->shape($depth);
                }
                $arguments = $this->arguments($depth);
                if ($arguments === []) {
                    return ['k' => 'array'];
                }
                if (count($arguments) === 1) {
                    return $this->listOf($arguments, strtolower($name) !== 'array');
                }
                // array<int, T> is how lists were written before list<T>.
                return $arguments[0]['k'] === 'int' ? ['k' => 'list', 'of' => $arguments[1]] : ['k' => 'map', 'of' => $arguments[1]];
            case 'iterable':
                $arguments = $this->arguments($depth);
                return ['k' => 'iterable', 'of' => $arguments === [] ? ['k' => 'mixed'] : end($arguments)];
            case 'callable':
            case 'closure':
            case '\closure':
                throw new Problem('a function cannot be carried as JSON');
            case 'resource':
            case 'open-resource':
                throw new Problem('a resource cannot be carried as JSON');
            case 'self':
            case 'static':
            case 'parent':
                throw new Problem("$name has no meaning outside a class");
        }
        if (strpbrk($name, '-') !== false) {
            throw new Problem("the type $name is not understood");
        }
        $full = ($this->resolve)($name);
        switch (strtolower($full)) {
            case 'generator':
                $arguments = $this->arguments($depth);
                return ['k' => 'stream', 'of' => count($arguments) === 1 ? $arguments[0] : ($arguments[1] ?? ['k' => 'mixed'])];
            case 'iterator':
            case 'traversable':
            case 'iteratoraggregate':
            case 'arrayiterator':
                $arguments = $this->arguments($depth);
                return ['k' => 'stream', 'of' => $arguments === [] ? ['k' => 'mixed'] : end($arguments)];
            case 'datetimeinterface':
            case 'datetimeimmutable':
            case 'datetime':
                return ['k' => 'datetime', 'class' => strtolower($full) === 'datetime' ? 'DateTime' : 'DateTimeImmutable'];
            case 'sabir\context':
                return ['k' => 'context'];
            case 'sabir\bytes':
                return ['k' => 'bytes'];
            case 'sabir\biginteger':
                return ['k' => 'bigint'];
            case 'closure':
                throw new Problem('a function cannot be carried as JSON');
        }
        $this->arguments($depth);
        return ['k' => 'class', 'name' => $full];
    }

    private function listOf(array $arguments, bool $some): array
    {
        return ['k' => 'list', 'of' => $arguments === [] ? ['k' => 'mixed'] : end($arguments)] + ($some ? ['least' => 1] : []);
    }

    private function integerRange(): ?array
    {
        $number = '\s*(-?\d+|min|max)\s*';
        if (!preg_match("/\\A\\s*<$number,$number>/", substr($this->text, $this->at), $match)) {
            return null;
        }
        $this->at += strlen($match[0]);
        return ['k' => 'int', 'min' => $match[1] === 'min' ? null : (int) $match[1], 'max' => $match[2] === 'max' ? null : (int) $match[2]];
    }

    /** array{id: int, name?: string, …}, or a tuple when its members have no names. */
    private function shape(int $depth): array
    {
        $members = [];
        $open = false;
        $named = false;
        while (!$this->take('}')) {
            if ($this->take('...')) {
                $open = true;
            } else {
                $this->space();
                if (preg_match('/\A(?:([\w-]+)|\'([^\']*)\'|"([^"]*)")\s*(\??)\s*:(?!:)/', substr($this->text, $this->at), $match)) {
                    $this->at += strlen($match[0]);
                    $name = ($match[3] ?? '') !== '' ? $match[3] : (($match[2] ?? '') !== '' ? $match[2] : $match[1]);
                    $named = $named || !ctype_digit($name);
                    $members[$name] = [$this->unionOf($depth + 1), $match[4] === '?'];
                } else {
                    $members[count($members)] = [$this->unionOf($depth + 1), false];
                }
            }
            if (!$this->take(',')) {
                $this->need('}');
                break;
            }
        }
        if (!$named && array_is_list($members) && $members !== []) {
            return ['k' => 'tuple', 'items' => array_column($members, 0)];
        }
        return ['k' => 'shape', 'members' => $members, 'open' => $open];
    }
}
