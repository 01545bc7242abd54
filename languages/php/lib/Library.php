<?php

declare(strict_types=1);

namespace Sabir\Reader;

/** Classes of the project's own PHP files, and the JSON Schemas of types. */
final class Library
{
    private const MOST_FILES = 2000;
    private const LARGEST = 4 << 20;
    private const DEEPEST = 24;

    /** @var array<string, list<string>> folder -> its PHP files */
    private array $files = [];
    /** @var array<string, ?Source> */
    private array $sources = [];
    /** @var array<string, string> absolute path -> text that stands for the file */
    public array $given = [];
    /** @var array<string, true> files that were read for their classes */
    public array $touched = [];
    /** @var list<string> */
    public array $warnings = [];
    /** @var list<string> */
    private array $open = [];

    public function __construct(private string $root)
    {
    }

    /** Where the project's classes are looked for. */
    public function below(string $root): void
    {
        $this->root = $root;
        $this->files = [];
    }

    public function source(string $file): ?Source
    {
        if (!array_key_exists($file, $this->sources)) {
            $text = $this->given[$file] ?? (@filesize($file) <= self::LARGEST ? @file_get_contents($file) : false);
            try {
                $this->sources[$file] = is_string($text) ? new Source($text) : null;
            } catch (SyntaxError) {
                $this->sources[$file] = null;
            }
        }
        return $this->sources[$file];
    }

    /** @return list<string> */
    private function filesBelow(string $folder): array
    {
        if (!isset($this->files[$folder])) {
            $found = [];
            if (is_dir($folder)) {
                $walk = new \RecursiveIteratorIterator(new \RecursiveCallbackFilterIterator(
                    new \RecursiveDirectoryIterator($folder, \FilesystemIterator::SKIP_DOTS),
                    static fn(\SplFileInfo $one) => !in_array($one->getFilename(), ['vendor', 'node_modules', '.git', '.sabir'], true),
                ));
                foreach ($walk as $one) {
                    if ($one->getExtension() === 'php' && count($found) < self::MOST_FILES) {
                        $found[] = $one->getPathname();
                    }
                }
                sort($found);
            }
            $this->files[$folder] = $found;
        }
        return $this->files[$folder];
    }

    /** The file of the project that declares a class; null when there is none. */
    public function fileOf(string $class): ?string
    {
        $short = preg_quote(substr((string) strrchr('\\' . $class, '\\'), 1), '~');
        foreach (['functions/php', 'assistants/php', 'memory/php', 'src', 'app', 'lib'] as $folder) {
            foreach ($this->filesBelow($this->root . '/' . $folder) as $file) {
                $text = $this->given[$file] ?? @file_get_contents($file, length: self::LARGEST);
                if ($text !== false && preg_match("~\\b(?:class|enum|interface)\\s+$short\\b~i", $text) && isset($this->source($file)?->classes[strtolower($class)])) {
                    return $file;
                }
            }
        }
        return null;
    }

    private function class(string $name, Source $from): ?array
    {
        if (isset($from->classes[strtolower($name)])) {
            return $from->classes[strtolower($name)];
        }
        $file = $this->fileOf($name);
        if ($file === null) {
            return null;
        }
        $this->touched[$file] = true;
        return $this->source($file)?->classes[strtolower($name)] ?? null;
    }

    /** A declared type and what a doc comment says of it, which may say more: array and list<Item>. */
    public function typeOf(string $declared, string $documented, Source $source): array
    {
        $resolve = $source->resolve(...);
        $type = $declared === '' ? null : Types::parse($declared, $resolve);
        if ($documented === '') {
            return $type ?? ['k' => 'mixed'];
        }
        try {
            $said = Types::parsePrefix($documented, $resolve)[0];
        } catch (Problem $problem) {
            if ($type === null) {
                throw $problem;
            }
            return $type;
        }
        return $type === null ? $said : self::refined($type, $said);
    }

    /** What the comment says, where it is an instance of what is declared. */
    private static function refined(array $type, array $said): array
    {
        $kinds = static fn(array $t) => array_column($t['k'] === 'union' ? $t['of'] : [$t], 'k');
        $narrow = ['array' => ['list', 'map', 'shape', 'tuple', 'array'], 'iterable' => ['list', 'map', 'stream', 'iterable'], 'int' => ['int'], 'string' => ['string'], 'stream' => ['stream'],
            'mixed' => null, 'object' => ['shape', 'object', 'class'], 'float' => ['float'], 'bool' => ['bool'], 'null' => ['null']];
        $declared = $kinds($type);
        foreach ($said['k'] === 'union' ? $said['of'] : [$said] as $one) {
            $kind = $one['k'] === 'literal' ? match (true) {
                is_string($one['value']) => 'string', is_int($one['value']) => 'int', is_bool($one['value']) => 'bool', default => 'float'
            } : $one['k'];
            $fits = false;
            foreach ($declared as $wide) {
                $fits = $fits || $wide === $kind || $wide === 'mixed' || in_array($kind, $narrow[$wide] ?? [], true);
            }
            if (!$fits) {
                return $type;
            }
        }
        // A comment seldom repeats that null is allowed.
        return in_array('null', $declared, true) ? Types::union($said, ['k' => 'null']) : $said;
    }

    /** The members of a class as JSON: name -> [type, required, default, doc]. Errors: Problem. */
    public function members(array $class): array
    {
        $source = $class['source'];
        $out = [];
        if ($class['extends'] !== null && ($parent = $this->class($class['extends'], $source)) !== null && count($this->open) < self::DEEPEST) {
            $out = $this->members($parent);
        }
        $tags = [];
        foreach (Source::docText($class['constructor']['doc'] ?? '')[1] as [$tag, $text]) {
            if ($tag === 'param' && preg_match('~^(.*?)\$(\w+)\s*(.*)$~s', $text, $match)) {
                $tags[$match[2]] = [trim($match[1]), $match[3]];
            }
        }
        $constructor = $class['constructor']['params'] ?? [];
        $byConstructor = [];
        foreach ($constructor as $one) {
            if ($one['variadic'] || $one['reference']) {
                throw new Problem("the constructor of {$class['name']} takes {$one['name']} in a way JSON cannot");
            }
            $said = self::varTag($one['doc']) ?: ($tags[$one['name']] ?? ['', '']);
            $byConstructor[$one['name']] = true;
            $out[$one['name']] = ['type' => $this->typeOf($one['type'], $said[0], $source), 'required' => !$one['optional'], 'default' => $one['default'],
                'doc' => $said[1], 'constructor' => true];
        }
        foreach ($class['properties'] as $one) {
            if (isset($byConstructor[$one['name']])) {
                continue;
            }
            $said = self::varTag($one['doc']) ?: ['', ''];
            $type = $this->typeOf($one['type'], $said[0], $source);
            $out[$one['name']] = ['type' => $type, 'required' => !$one['optional'] && $one['type'] !== '', 'default' => $one['default'], 'doc' => $said[1], 'constructor' => false];
        }
        return $out;
    }

    /** What a comment on a member says: [type, text]; null when there is none. */
    private static function varTag(string $comment): ?array
    {
        if ($comment === '') {
            return null;
        }
        [$text, $tags] = Source::docText($comment);
        foreach ($tags as [$tag, $said]) {
            if ($tag === 'var') {
                // The type ends where the text begins; a $name may stand between.
                return [$said, trim(preg_replace('~^\S+(\s+\$\w+)?~', '', $said)) ?: $text];
            }
        }
        return ['', $text];
    }

    /** Errors: Problem. */
    public function schema(array $type, Source $from): array
    {
        switch ($type['k']) {
            case 'mixed':
                return [];
            case 'null':
            case 'bool':
                return ['type' => $type['k'] === 'null' ? 'null' : 'boolean'];
            case 'int':
                return ['type' => 'integer'] + array_filter(['minimum' => $type['min'], 'maximum' => $type['max']], static fn($n) => $n !== null);
            case 'bigint':
                return ['type' => 'integer'];
            case 'float':
                return ['type' => 'number'];
            case 'string':
                return ['type' => 'string'] + array_filter(['minLength' => $type['least'] ?? null, 'pattern' => $type['pattern'] ?? null]);
            case 'literal':
                return self::enum([$type['value']]);
            case 'bytes':
                return ['type' => 'string', 'contentEncoding' => 'base64'];
            case 'datetime':
                return ['type' => 'string', 'format' => 'date-time'];
            case 'object':
                return ['type' => 'object'];
            case 'array':
                return ['type' => ['array', 'object']];
            case 'list':
            case 'iterable':
            case 'stream':
                $items = $this->schema($type['of'], $from);
                return ['type' => 'array'] + ($items === [] ? [] : ['items' => $items]) + (isset($type['least']) ? ['minItems' => 1] : []);
            case 'tuple':
                $count = count($type['items']);
                return ['type' => 'array', 'prefixItems' => array_map(fn($one) => self::orTrue($this->schema($one, $from)), $type['items']), 'minItems' => $count, 'maxItems' => $count];
            case 'map':
                $values = $this->schema($type['of'], $from);
                return ['type' => 'object'] + ($values === [] ? [] : ['additionalProperties' => $values]);
            case 'shape':
                $members = [];
                foreach ($type['members'] as $name => [$inner, $optional]) {
                    $members[$name] = ['type' => $inner, 'required' => !$optional, 'default' => null, 'doc' => ''];
                }
                return $this->object($members, $from, $type['open']);
            case 'union':
                return $this->unionSchema($type['of'], $from);
            case 'class':
                return $this->classSchema($type['name'], $from);
            case 'context':
                throw new Problem('Sabir\Context can only be a parameter of its own');
        }
        throw new Problem("the type {$type['k']} is not understood");
    }

    private static function orTrue(array $schema): array|bool
    {
        return $schema === [] ? true : $schema;
    }

    private static function enum(array $values): array
    {
        $kind = match (true) {
            array_filter($values, 'is_string') === $values => ['type' => 'string'],
            array_filter($values, 'is_int') === $values => ['type' => 'integer'],
            default => [],
        };
        return $kind + ['enum' => array_values($values)];
    }

    private function unionSchema(array $of, Source $from): array
    {
        $literals = [];
        $choices = [];
        foreach ($of as $one) {
            if ($one['k'] === 'literal') {
                $literals[] = $one['value'];
            } else {
                $schema = $this->schema($one, $from);
                if ($schema === []) {
                    return [];
                }
                $choices[] = $schema;
            }
        }
        if ($literals !== []) {
            array_unshift($choices, self::enum($literals));
        }
        if (count($choices) === 1) {
            return $choices[0];
        }
        $types = [];
        foreach ($choices as $choice) {
            if (array_keys($choice) !== ['type']) {
                return ['anyOf' => $choices];
            }
            $types = array_merge($types, (array) $choice['type']);
        }
        return ['type' => array_values(array_unique($types))];
    }

    private function object(array $members, Source $from, bool $open): array
    {
        $properties = [];
        $required = [];
        foreach ($members as $name => $one) {
            $schema = $this->schema($one['type'], $from);
            if ($one['default'] !== null && $one['default'][0] !== null) {
                $schema['default'] = $one['default'][0];
            }
            if (trim($one['doc']) !== '') {
                $schema['description'] = trim(preg_replace('/\s+/', ' ', $one['doc']));
            }
            $properties[$name] = (object) $schema;
            if ($one['required']) {
                $required[] = (string) $name;
            }
        }
        return ['type' => 'object', 'properties' => (object) $properties] + ($required === [] ? [] : ['required' => $required]) + ($open ? [] : ['additionalProperties' => false]);
    }

    private function classSchema(string $name, Source $from): array
    {
        if (in_array(strtolower($name), $this->open, true)) {
            return [];
        }
        $class = $this->class($name, $from);
        if ($class === null) {
            if (class_exists($name, false) || interface_exists($name, false)) {
                throw new Problem("$name has no form in JSON");
            }
            throw new Problem("the class $name is not declared in the project's PHP files");
        }
        if ($class['kind'] === 'enum') {
            $values = [];
            foreach ($class['cases'] as $case) {
                if ($case === null) {
                    throw new Problem("a case of the enum $name has no literal value");
                }
                $values[] = $case[0];
            }
            return self::enum($values) + self::described($class);
        }
        if ($class['abstract']) {
            throw new Problem("$name is " . ($class['kind'] === 'class' ? 'abstract' : "a {$class['kind']}") . ': it says nothing of what it holds');
        }
        if (isset($class['constructor']) && !$class['constructor']['public']) {
            throw new Problem("the constructor of $name is not public");
        }
        $this->open[] = strtolower($name);
        try {
            return $this->object($this->members($class), $class['source'], false) + self::described($class);
        } finally {
            array_pop($this->open);
        }
    }

    private static function described(array $class): array
    {
        $text = Source::docText($class['doc'])[0];
        $text = trim(preg_replace('/\s+/', ' ', explode("\n\n", $text)[0]));
        return $text === '' ? [] : ['description' => $text];
    }

    public function declared(string $class, Source $from): ?array
    {
        return $this->class($class, $from);
    }
}
