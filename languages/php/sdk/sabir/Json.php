<?php

declare(strict_types=1);

namespace Sabir;

/** What JSON cannot carry. */
final class Unfit extends \Exception
{
}

/** JSON with exact integers, and blobs in their places. */
final class Json
{
    public const BLOB = 65536;
    private const DEPTH = 600;
    private const FLAGS = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION;

    /** What stands for a large integer until the text is made; nobody else's text can hold it. */
    private static string $mark = '';
    private static bool $marked = false;

    /** Whether the last text had half of a surrogate pair, which UTF-8 cannot carry: U+FFFD stands in its place. */
    public static bool $replaced = false;

    /** Objects are stdClass; integers beyond 64 bits are BigInteger. Errors: \JsonException. */
    public static function decode(string $text): mixed
    {
        self::$replaced = false;
        $large = preg_match('/[^0-9.eE+-][0-9]{19}|-[0-9]{19}|\A[0-9]{19}/', $text) === 1;
        if ($large) {
            $text = self::markLarge($text);
        }
        try {
            $value = json_decode($text, false, self::DEPTH, JSON_THROW_ON_ERROR);
        } catch (\JsonException $error) {
            if ($error->getCode() !== JSON_ERROR_UTF16) {
                throw $error;
            }
            self::$replaced = true;
            $text = preg_replace('/(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:d[89ab][0-9a-f]{2}(?!\\\\ud[c-f][0-9a-f]{2})|(?<!\\\\ud[89ab][0-9a-f]{2}\\\\u)d[c-f][0-9a-f]{2})/i', '$1\\\\ufffd', $text);
            $text = preg_replace('/(\\\\ud[89ab][0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2})|\\\\ud[c-f][0-9a-f]{2}/i', '$1', $text);
            $value = json_decode($text, false, self::DEPTH, JSON_THROW_ON_ERROR);
        }
        return $large ? self::unmarkLarge($value) : $value;
    }

    /** Integers of more digits than PHP's stand as marked strings; strings are stepped over. */
    private static function markLarge(string $text): string
    {
        $mark = self::mark();
        return preg_replace_callback('/"(?:[^"\\\\]++|\\\\.)*+"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/s', static function (array $match) use ($mark): string {
            $word = $match[0];
            if ($word[0] === '"' || strlen($word) < 19 || strpbrk($word, '.eE') !== false || (string) (int) $word === $word) {
                return $word;
            }
            return '"' . $mark . $word . '"';
        }, $text) ?? $text;
    }

    private static function unmarkLarge(mixed $value): mixed
    {
        if (is_string($value)) {
            return str_starts_with($value, self::$mark) ? new BigInteger(substr($value, strlen(self::$mark))) : $value;
        }
        if (is_array($value)) {
            return array_map(self::unmarkLarge(...), $value);
        }
        if ($value instanceof \stdClass) {
            foreach (get_object_vars($value) as $name => $one) {
                $value->{$name} = self::unmarkLarge($one);
            }
        }
        return $value;
    }

    public static function mark(): string
    {
        return self::$mark ?: self::$mark = 'sabir-integer-' . bin2hex(random_bytes(12)) . ':';
    }

    /**
     * A value as JSON, its large strings and byte sequences apart.
     *
     * @return array{string, list<array{at: string, type: string}>, list<string>} text, places, blobs
     * @throws Unfit
     */
    public static function encode(mixed $value, string $at): array
    {
        $places = [];
        $blobs = [];
        if (is_string($value) ? strlen($value) >= self::BLOB : !(is_int($value) || is_bool($value) || $value === null || is_float($value))) {
            $value = self::plain($value, $at, $places, $blobs, 0);
        }
        $text = self::text($value);
        return [$text, $places, $blobs];
    }

    /** Errors: Unfit. */
    public static function text(mixed $value): string
    {
        $text = json_encode($value, self::FLAGS, self::DEPTH);
        if ($text === false) {
            throw new Unfit(match (json_last_error()) {
                JSON_ERROR_INF_OR_NAN => 'JSON has no NaN and no infinities',
                JSON_ERROR_UTF8 => 'a string is not UTF-8; bytes are carried as new Sabir\Bytes($text)',
                JSON_ERROR_DEPTH => 'it is nested too deeply',
                default => json_last_error_msg(),
            });
        }
        if (self::$marked) {
            self::$marked = false;
            $text = preg_replace('/"' . preg_quote(self::$mark, '/') . '(-?[0-9]+)"/', '$1', $text);
        }
        return $text;
    }

    private static function plain(mixed $value, string $at, array &$places, array &$blobs, int $depth): mixed
    {
        if (is_string($value)) {
            if (strlen($value) < self::BLOB) {
                return $value;
            }
            if (!mb_check_encoding($value, 'UTF-8')) {
                throw new Unfit('a string is not UTF-8; bytes are carried as new Sabir\Bytes($text)');
            }
            $places[] = ['at' => $at, 'type' => 'string'];
            $blobs[] = $value;
            return null;
        }
        if (!is_array($value) && !is_object($value)) {
            if (is_resource($value)) {
                throw new Unfit('a resource has no form in JSON');
            }
            return $value;
        }
        if ($depth > self::DEPTH) {
            throw new Unfit('it is nested too deeply');
        }
        if (is_object($value)) {
            if ($value instanceof Bytes) {
                if (strlen($value->data) < self::BLOB) {
                    return base64_encode($value->data);
                }
                $places[] = ['at' => $at, 'type' => 'bytes'];
                $blobs[] = $value->data;
                return null;
            }
            if ($value instanceof BigInteger) {
                self::$marked = true;
                return self::mark() . $value->digits;
            }
            if ($value instanceof \BackedEnum) {
                return $value->value;
            }
            if ($value instanceof \UnitEnum) {
                return $value->name;
            }
            if ($value instanceof \DateTimeInterface) {
                return $value->format($value->format('u') === '000000' ? 'Y-m-d\TH:i:sP' : 'Y-m-d\TH:i:s.uP');
            }
            if ($value instanceof \JsonSerializable) {
                return self::plain($value->jsonSerialize(), $at, $places, $blobs, $depth + 1);
            }
            if ($value instanceof \Closure) {
                throw new Unfit('a function has no form in JSON');
            }
            if ($value instanceof \Traversable) {
                return self::plain(iterator_to_array($value, false), $at, $places, $blobs, $depth + 1);
            }
            if ($value instanceof \GMP) {
                self::$marked = true;
                return self::mark() . gmp_strval($value);
            }
            if (!$value instanceof \stdClass && (new \ReflectionClass($value))->isInternal()) {
                throw new Unfit('a ' . $value::class . ' has no form in JSON');
            }
            $out = new \stdClass();
            // From outside the class, so that only public members are seen.
            foreach (get_object_vars($value) as $name => $one) {
                $out->{$name} = self::plain($one, $at . '/' . self::token((string) $name), $places, $blobs, $depth + 1);
            }
            return $out;
        }
        foreach ($value as $name => $one) {
            if (is_string($one) ? strlen($one) >= self::BLOB : is_array($one) || is_object($one) || is_resource($one)) {
                $value[$name] = self::plain($one, $at . '/' . self::token((string) $name), $places, $blobs, $depth + 1);
            }
        }
        return $value;
    }

    private static function token(string $name): string
    {
        return str_replace(['~', '/'], ['~0', '~1'], $name);
    }

    /**
     * Puts blobs into a decoded value.
     *
     * @param list<string> $blobs
     * @throws \UnexpectedValueException for a count or a place that does not fit
     */
    public static function place(mixed $value, mixed $places, array $blobs): mixed
    {
        $places ??= [];
        if (!is_array($places) || count($places) !== count($blobs)) {
            throw new \UnexpectedValueException('the frame has ' . count($blobs) . ' blobs, and the list does not name as many');
        }
        foreach ($places as $i => $place) {
            $at = $place->at ?? null;
            $type = $place->type ?? null;
            if (!is_string($at) || !str_starts_with($at, '/') || ($type !== 'string' && $type !== 'bytes')) {
                throw new \UnexpectedValueException("blob $i has no place or an unknown type");
            }
            if ($type === 'string' && !mb_check_encoding($blobs[$i], 'UTF-8')) {
                throw new \UnexpectedValueException("the string blob $i is not UTF-8");
            }
            $target = &$value;
            foreach (explode('/', substr($at, 1)) as $word) {
                $name = str_replace(['~1', '~0'], ['/', '~'], $word);
                if ($target instanceof \stdClass && property_exists($target, $name)) {
                    $target = &$target->{$name};
                } elseif (is_array($target) && preg_match('/\A(?:0|[1-9][0-9]*)\z/', $name) && array_key_exists((int) $name, $target)) {
                    $target = &$target[(int) $name];
                } else {
                    throw new \UnexpectedValueException("there is no place $at");
                }
            }
            if ($target !== null) {
                throw new \UnexpectedValueException("the place $at does not hold null");
            }
            $target = $type === 'string' ? $blobs[$i] : new Bytes($blobs[$i]);
            unset($target);
        }
        return $value;
    }
}
