<?php

declare(strict_types=1);

namespace Sabir\Reader;

/** A source's public functions: what describe tells of them, and what the worker calls them by. */
final class Functions
{
    private const TAGS = ['effect' => 'Effect', 'timeout' => 'Timeout', 'secrets' => 'Secrets', 'idempotent' => 'Idempotent', 'concurrency' => 'Concurrency', 'retries' => 'Retries'];

    /**
     * @return array{list<array>, list<array{name: string, line: int, reason: string}>}
     */
    public static function of(Source $source, Library $library): array
    {
        $functions = [];
        $unavailable = [];
        $seen = [];
        foreach ($source->functions as $one) {
            $name = $one['name'];
            if ($name[0] === '_') {
                continue;
            }
            try {
                if ($one['nested']) {
                    throw new Problem('it is defined conditionally; define it at the top level');
                }
                $told = self::one($one, $source, $library);
                if ($told === null) {
                    continue;
                }
                if (isset($seen[strtolower($name)])) {
                    throw new Problem("line {$seen[strtolower($name)]} defines it already");
                }
                $seen[strtolower($name)] = $one['line'];
                $functions[] = $told;
            } catch (Problem $problem) {
                $unavailable[] = ['name' => $name, 'line' => $one['line'], 'reason' => $problem->getMessage()];
            }
        }
        return [$functions, $unavailable];
    }

    /** What PHP would refuse to load the file for: [reason, line]. */
    public static function clash(Source $source): ?array
    {
        foreach ($source->functions as $one) {
            if (!$one['nested'] && $one['namespace'] === '' && function_exists($one['name']) && (new \ReflectionFunction($one['name']))->isInternal()) {
                return ["PHP has a function {$one['name']}; put the file into a namespace, or name it {$one['name']}_", $one['line']];
            }
        }
        return null;
    }

    private static function one(array $one, Source $source, Library $library): ?array
    {
        [$text, $tags] = Source::docText($one['doc']);
        $documented = [];
        $returned = '';
        $more = [];
        foreach ($tags as [$tag, $said]) {
            if ($tag === 'param' || $tag === 'phpstan-param' || $tag === 'psalm-param') {
                if (preg_match('~^(.*?)(?:\.\.\.)?\$(\w+)\s*(.*)$~s', $said, $match)) {
                    $documented[$match[2]] = [trim($match[1]), trim($match[3]) ?: ($documented[$match[2]][1] ?? '')];
                }
            } elseif ($tag === 'return' || $tag === 'phpstan-return') {
                $returned = $said;
            } elseif ($tag === 'internal' || $tag === 'ignore') {
                return null;
            } elseif (isset(self::TAGS[$tag])) {
                $more[] = self::TAGS[$tag] . ': ' . str_replace("\n", ' ', $said);
            } elseif ($tag === 'deprecated') {
                $more[] = trim('Deprecated. ' . str_replace("\n", ' ', $said));
            }
        }
        if ($one['reference']) {
            throw new Problem('it returns a reference');
        }
        $library->warnings = [];
        $parameters = [];
        foreach ($one['params'] as $parameter) {
            $name = $parameter['name'];
            if ($parameter['reference']) {
                throw new Problem("its parameter \$$name is taken by reference, which a call from elsewhere cannot do");
            }
            try {
                $said = $documented[$name] ?? ['', ''];
                $type = $library->typeOf($parameter['type'], $said[0], $source);
                if ($type['k'] === 'context') {
                    $parameters[] = ['name' => $name, 'context' => true];
                    continue;
                }
                $inner = $type['k'] === 'stream' ? ['k' => 'list', 'of' => $type['of']] : $type;
                $schema = $library->schema($parameter['variadic'] ? ['k' => 'list', 'of' => $inner] : $inner, $source);
            } catch (Problem $problem) {
                throw new Problem("its parameter \$$name: " . $problem->getMessage());
            }
            $entry = ['name' => $name, 'kind' => $parameter['variadic'] ? 'variadic' : 'positional', 'required' => !$parameter['optional'] && !$parameter['variadic'],
                'doc' => trim(preg_replace('/\s+/', ' ', $said[1])), 'type' => $parameter['type'] ?: $said[0], '_type' => $type];
            if ($schema !== []) {
                $entry['schema'] = $schema;
            }
            if ($parameter['default'] !== null && $parameter['default'][0] !== null) {
                $entry['default'] = $parameter['default'][0];
            }
            $parameters[] = $entry;
        }
        try {
            $type = $library->typeOf($one['returns'], $returned, $source);
            $generator = $type['k'] === 'stream' || $one['yields'];
            $yielded = $type['k'] === 'stream' || $type['k'] === 'iterable' ? $type['of'] : ($generator ? ['k' => 'mixed'] : $type);
            $result = $library->schema($generator ? $yielded : $type, $source);
        } catch (Problem $problem) {
            throw new Problem('its result: ' . $problem->getMessage());
        }
        return ['name' => self::shown($one['name']), 'line' => $one['line'], 'doc' => trim($text . ($more === [] ? '' : "\n\n" . implode("\n", $more))), 'generator' => $generator,
            'parameters' => $parameters, 'result' => ['schema' => (object) $result, 'type' => $one['returns'] ?: strtok($returned, " \n")],
            'warnings' => $library->warnings, '_name' => $one['name'], '_namespace' => $one['namespace'], '_result' => $generator ? $yielded : $type];
    }

    /** list_ is list: PHP's own words cannot name functions. */
    public static function shown(string $name): string
    {
        return str_ends_with($name, '_') ? rtrim($name, '_') : $name;
    }
}
