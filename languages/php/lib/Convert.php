<?php

declare(strict_types=1);

namespace Sabir\Worker;

use Sabir\BigInteger;
use Sabir\Bytes;
use Sabir\Reader\Library;
use Sabir\Reader\Source;

/** A value that does not fit its type. */
final class Refused extends \Exception
{
}

/** What arrives as JSON becomes what the signature and its comment ask for, and what is given what they promise. */
final class Convert
{
    public function __construct(private readonly Library $library)
    {
    }

    /** A date, or a date and time as RFC 3339 has it. */
    private const MOMENT = '/\A\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:?\d{2})?)?\z/';

    /** @throws Refused */
    public function value(array $type, mixed $value, Source $source, string $at): mixed
    {
        switch ($type['k']) {
            case 'mixed':
                return $value;
            case 'null':
                return $value === null ? null : self::refuse($at, 'null', $value);
            case 'bool':
                return is_bool($value) ? $value : self::refuse($at, 'a boolean', $value);
            case 'int':
                if (is_float($value) && $value === floor($value) && abs($value) < 9.2e18) {
                    $value = (int) $value;
                }
                if (!is_int($value)) {
                    self::refuse($at, $value instanceof BigInteger ? 'an integer of 64 bits' : 'an integer', $value);
                }
                return $value;
            case 'bigint':
                return $value instanceof BigInteger ? $value : (is_int($value) ? new BigInteger((string) $value) : self::refuse($at, 'an integer', $value));
            case 'float':
                if ($value instanceof BigInteger) {
                    return (float) $value->digits;
                }
                return is_int($value) || is_float($value) ? (float) $value : self::refuse($at, 'a number', $value);
            case 'string':
                return is_string($value) ? $value : self::refuse($at, 'a string', $value);
            case 'literal':
                return $value === $type['value'] || (is_float($type['value']) && $value === (int) $type['value']) ? $type['value']
                    : self::refuse($at, (string) json_encode($type['value']), $value);
            case 'bytes':
                if ($value instanceof Bytes) {
                    return $value;
                }
                $data = is_string($value) ? base64_decode($value, true) : false;
                return $data === false ? self::refuse($at, 'base64 text', $value) : new Bytes($data);
            case 'datetime':
                // PHP itself would take "yesterday".
                if (!is_string($value) || preg_match(self::MOMENT, $value) !== 1) {
                    self::refuse($at, 'a date and time', $value);
                }
                try {
                    return new $type['class']($value);
                } catch (\Exception $error) {
                    self::refuse($at, 'a date and time', $value);
                }
            case 'object':
                return $value instanceof \stdClass ? $value : self::refuse($at, 'an object', $value);
            case 'array':
                return is_array($value) || $value instanceof \stdClass ? self::asArray($value) : self::refuse($at, 'an array or an object', $value);
            case 'list':
            case 'iterable':
                is_array($value) || self::refuse($at, 'an array', $value);
                return $this->each($type['of'], $value, $source, $at);
            case 'stream':
                is_array($value) || self::refuse($at, 'an array', $value);
                return new \ArrayIterator($this->each($type['of'], $value, $source, $at));
            case 'tuple':
                if (!is_array($value) || count($value) !== count($type['items'])) {
                    self::refuse($at, 'an array of ' . count($type['items']), $value);
                }
                return array_map(fn($inner, $one, $i) => $this->value($inner, $one, $source, "$at/$i"), $type['items'], $value, array_keys($value));
            case 'map':
                $value instanceof \stdClass || self::refuse($at, 'an object', $value);
                return $this->each($type['of'], get_object_vars($value), $source, $at);
            case 'shape':
                return $this->shape($type, $value, $source, $at);
            case 'union':
                return $this->union($type, $value, $source, $at);
            case 'class':
                return $this->made($type['name'], $value, $source, $at);
        }
        return $value;
    }

    private static function refuse(string $at, string $expected, mixed $value): never
    {
        $got = match (true) {
            $value instanceof \stdClass => 'an object',
            $value instanceof BigInteger => 'a larger one',
            $value instanceof Bytes => 'bytes',
            is_array($value) => 'an array',
            $value === null => 'null',
            is_string($value) => 'a string',
            default => (string) json_encode($value),
        };
        throw new Refused("$at: expected $expected, got $got");
    }

    /** Objects at every depth as arrays: what `array` alone asks for. */
    public static function asArray(mixed $value): mixed
    {
        if ($value instanceof \stdClass) {
            $value = get_object_vars($value);
        }
        return is_array($value) ? array_map(self::asArray(...), $value) : $value;
    }

    /** What a function gives, by its type: PHP's arrays do not tell an object that is empty, or whose names are digits, from a list. */
    public function result(array $type, mixed $value, Source $source, int $depth = 0): mixed
    {
        if ((!is_array($value) && !is_object($value)) || $depth > 100) {
            return $value;
        }
        $within = fn(array $inner, mixed $one) => $this->result($inner, $one, $source, $depth + 1);
        switch ($type['k']) {
            case 'list':
            case 'iterable':
            case 'stream':
                return is_array($value) && self::mayHoldObjects($type['of']) ? array_map(fn($one) => $within($type['of'], $one), $value) : $value;
            case 'tuple':
                return is_array($value) && count($value) === count($type['items']) && array_is_list($value) ? array_map($within, $type['items'], $value) : $value;
            case 'map':
                return is_array($value) ? (object) (self::mayHoldObjects($type['of']) ? array_map(fn($one) => $within($type['of'], $one), $value) : $value) : $value;
            case 'shape':
                if (!is_array($value)) {
                    return $value;
                }
                foreach ($value as $name => $one) {
                    $value[$name] = $within($type['members'][$name][0] ?? ['k' => 'mixed'], $one);
                }
                return (object) $value;
            case 'object':
                return (object) $value;
            case 'union':
                $lists = ['list', 'tuple', 'array', 'iterable', 'stream', 'mixed'];
                $kinds = match (true) {
                    is_object($value) => ['class'],
                    array_is_list($value) && array_intersect(array_column($type['of'], 'k'), $lists) !== [] => $lists,
                    default => ['map', 'shape', 'object'],
                };
                foreach ($type['of'] as $one) {
                    if (in_array($one['k'], $kinds, true) && ($one['k'] !== 'class' || $value instanceof $one['name'])) {
                        return $within($one, $value);
                    }
                }
                return $value;
            case 'class':
                return is_object($value) ? $this->members($value, $source, $depth) : $value;
        }
        return $value;
    }

    private static function mayHoldObjects(array $type): bool
    {
        return !in_array($type['k'], ['mixed', 'null', 'bool', 'int', 'bigint', 'float', 'string', 'literal', 'bytes', 'datetime'], true);
    }

    /** An object's public members, each by its own type. */
    private function members(object $value, Source $source, int $depth): object
    {
        $class = $value instanceof \JsonSerializable || $value instanceof \Traversable || $value instanceof \UnitEnum ? null : $this->library->declared($value::class, $source);
        if ($class === null) {
            return $value;
        }
        try {
            $members = array_filter($this->library->members($class), static fn($one) => self::mayHoldObjects($one['type']));
        } catch (\Sabir\Reader\Problem) {
            return $value;
        }
        if ($members === []) {
            return $value;
        }
        $out = get_object_vars($value);
        foreach ($members as $name => $one) {
            if (array_key_exists($name, $out)) {
                $out[$name] = $this->result($one['type'], $out[$name], $class['source'], $depth + 1);
            }
        }
        return (object) $out;
    }

    private function each(array $type, array $values, Source $source, string $at): array
    {
        if ($type['k'] === 'mixed') {
            return $values;
        }
        foreach ($values as $name => $one) {
            $values[$name] = $this->value($type, $one, $source, "$at/$name");
        }
        return $values;
    }

    private function shape(array $type, mixed $value, Source $source, string $at): array
    {
        $value instanceof \stdClass || self::refuse($at, 'an object', $value);
        $out = get_object_vars($value);
        foreach ($type['members'] as $name => [$inner, $optional]) {
            if (array_key_exists($name, $out)) {
                $out[$name] = $this->value($inner, $out[$name], $source, "$at/$name");
            } elseif (!$optional) {
                throw new Refused("$at has no $name");
            }
        }
        return $out;
    }

    private function union(array $type, mixed $value, Source $source, string $at): mixed
    {
        if ($value === null && in_array(['k' => 'null'], $type['of'], true)) {
            return null;
        }
        $why = null;
        // An int is no float here, so that int|float keeps what came.
        usort($type['of'], static fn($a, $b) => ($a['k'] === 'float') <=> ($b['k'] === 'float'));
        foreach ($type['of'] as $one) {
            if ($one['k'] === 'int' && is_float($value)) {
                continue;
            }
            try {
                return $this->value($one, $value, $source, $at);
            } catch (Refused $refused) {
                $why ??= $refused;
            }
        }
        throw $why;
    }

    /** An instance of one of the user's own classes or enums. */
    private function made(string $name, mixed $value, Source $source, string $at): object
    {
        $class = $this->library->declared($name, $source);
        if ($class === null || (!class_exists($name) && !enum_exists($name))) {
            throw new Refused("$at: there is no class $name");
        }
        if ($class['kind'] === 'enum') {
            foreach ($name::cases() as $case) {
                if (($case instanceof \BackedEnum ? $case->value : $case->name) === $value) {
                    return $case;
                }
            }
            self::refuse($at, 'a case of ' . $name, $value);
        }
        $value instanceof \stdClass || self::refuse($at, 'an object', $value);
        $given = get_object_vars($value);
        $arguments = [];
        $later = [];
        foreach ($this->library->members($class) as $member => $one) {
            if (!array_key_exists($member, $given)) {
                if ($one['required']) {
                    throw new Refused("$at has no $member");
                }
                continue;
            }
            $converted = $this->value($one['type'], $given[$member], $class['source'], "$at/$member");
            unset($given[$member]);
            if ($one['constructor']) {
                $arguments[$member] = $converted;
            } else {
                $later[$member] = $converted;
            }
        }
        if ($given !== []) {
            throw new Refused("$at: $name has no member " . array_key_first($given));
        }
        try {
            $made = new $name(...$arguments);
            foreach ($later as $member => $converted) {
                $made->{$member} = $converted;
            }
        } catch (\TypeError | \ValueError | \InvalidArgumentException | \DomainException $error) {
            throw new Refused("$at: " . $error->getMessage());
        }
        return $made;
    }
}
