<?php

declare(strict_types=1);

namespace Sabir\Reader;

/** A file that PHP cannot read. */
final class SyntaxError extends \Exception
{
    public function __construct(string $message, public readonly int $at)
    {
        parent::__construct($message);
    }
}

/** One source's declarations, by PHP's own tokens; nothing of it is run. */
final class Source
{
    /** @var list<array> name, line, doc, params, returns, by_reference, namespace, hidden, nested */
    public array $functions = [];
    /** @var array<string, array> classes and enums by their full names */
    public array $classes = [];
    /** @var array<string, mixed> constants with literal values */
    public array $constants = [];
    public string $moduleDoc = '';
    public string $namespace = '';
    /** @var array<string, string> */
    private array $uses = [];
    /** @var list<\PhpToken> without spaces and comments */
    private array $tokens = [];
    private int $at = 0;

    public function __construct(string $text)
    {
        try {
            $all = \PhpToken::tokenize($text, TOKEN_PARSE);
        } catch (\ParseError $error) {
            throw new SyntaxError($error->getMessage(), $error->getLine());
        }
        $doc = null;
        foreach ($all as $token) {
            if ($token->is(T_DOC_COMMENT)) {
                // The file's own comment stands before everything else, apart from what it could belong to.
                $doc = $token;
            } elseif (!$token->is([T_WHITESPACE, T_COMMENT, T_INLINE_HTML, T_OPEN_TAG])) {
                $token->doc = $doc;
                $doc = null;
                $this->tokens[] = $token;
            }
        }
        $this->file();
    }

    private function token(int $ahead = 0): ?\PhpToken
    {
        return $this->tokens[$this->at + $ahead] ?? null;
    }

    private function is(int|string|array $what, int $ahead = 0): bool
    {
        $token = $this->token($ahead);
        return $token !== null && $token->is($what);
    }

    /** Goes past a bracket's partner. */
    private function skip(): void
    {
        $depth = 0;
        for (; $token = $this->token(); $this->at++) {
            if ($token->is(['(', '[', '{', T_CURLY_OPEN, T_DOLLAR_OPEN_CURLY_BRACES, T_ATTRIBUTE])) {
                $depth++;
            } elseif ($token->is([')', ']', '}'])) {
                $depth--;
            }
            if ($depth <= 0) {
                $this->at++;
                return;
            }
        }
    }

    private function until(array $ends): void
    {
        while (($token = $this->token()) && !$token->is($ends)) {
            if ($token->is(['(', '[', '{', T_CURLY_OPEN, T_DOLLAR_OPEN_CURLY_BRACES, T_ATTRIBUTE])) {
                $this->skip();
            } else {
                $this->at++;
            }
        }
    }

    private function file(): void
    {
        $first = true;
        $nested = 0;
        while ($token = $this->token()) {
            if ($first && isset($token->doc) && !$token->is([T_FUNCTION, T_CLASS, T_ENUM, T_CONST, T_FINAL, T_ABSTRACT, T_READONLY, T_ATTRIBUTE])) {
                $this->moduleDoc = self::docText($token->doc->text)[0];
            }
            $first = false;
            if ($token->is(T_NAMESPACE) && $this->is([T_STRING, T_NAME_QUALIFIED], 1)) {
                $this->namespace = $this->token(1)->text;
                $this->uses = [];
                $this->at += 2;
                if ($this->is('{')) {
                    $this->at++;
                }
            } elseif ($token->is(T_USE)) {
                $this->use();
            } elseif ($token->is(T_CONST)) {
                $this->const();
            } elseif ($token->is(T_FUNCTION) && ($this->is(T_STRING, 1) || $this->is('&', 1) || $this->is(T_AMPERSAND_NOT_FOLLOWED_BY_VAR_OR_VARARG, 1) || $this->named(1))) {
                $this->function($token, $nested > 0);
            } elseif ($token->is([T_CLASS, T_ENUM, T_INTERFACE, T_TRAIT]) && $this->is(T_STRING, 1)) {
                $this->class($token);
            } elseif ($token->is(T_STRING) && strtolower($token->text) === 'define' && $this->is('(', 1)) {
                $this->at++;
                $this->skip();
            } elseif ($token->is([T_IF, T_ELSE, T_ELSEIF, T_TRY, T_FOREACH, T_FOR, T_WHILE])) {
                // What is defined conditionally may not be there.
                $this->at++;
                if ($this->is('(')) {
                    $this->skip();
                }
                if ($this->is('{')) {
                    $this->conditional();
                }
            } elseif ($token->is(['(', '[', '{', T_CURLY_OPEN, T_DOLLAR_OPEN_CURLY_BRACES])) {
                $this->skip();
            } elseif ($token->is(T_ATTRIBUTE)) {
                $doc = $token->doc ?? null;
                $this->skip();
                // The comment stands before the attributes.
                if ($this->token() && !isset($this->token()->doc)) {
                    $this->token()->doc = $doc;
                }
            } elseif ($token->is([T_FINAL, T_ABSTRACT, T_READONLY])) {
                if ($this->token(1) && !isset($this->token(1)->doc)) {
                    $this->token(1)->doc = $token->doc ?? null;
                }
                $this->at++;
            } else {
                $this->at++;
            }
        }
    }

    /** A keyword may not name a function, but semi-reserved ones (enum, readonly) may. */
    private function named(int $ahead): bool
    {
        $token = $this->token($ahead);
        return $token !== null && $token->is([T_ENUM, T_READONLY]) && $this->is('(', $ahead + 1);
    }

    private function conditional(): void
    {
        $start = $this->at;
        $this->skip();
        $end = $this->at;
        for ($i = $start; $i < $end; $i++) {
            if ($this->tokens[$i]->is(T_FUNCTION) && isset($this->tokens[$i + 1]) && $this->tokens[$i + 1]->is(T_STRING)) {
                $this->functions[] = ['name' => $this->tokens[$i + 1]->text, 'line' => $this->tokens[$i + 1]->line, 'nested' => true];
            }
        }
    }

    private function use(): void
    {
        $this->at++;
        $kind = 'class';
        if ($this->is(T_FUNCTION) || $this->is(T_CONST)) {
            $kind = 'other';
            $this->at++;
        }
        $prefix = '';
        while (($token = $this->token()) && !$token->is([';', T_CLOSE_TAG])) {
            if ($token->is([T_STRING, T_NAME_QUALIFIED, T_NAME_FULLY_QUALIFIED])) {
                $name = $prefix . ltrim($token->text, '\\');
                if ($this->is(T_NS_SEPARATOR, 1) && $this->is('{', 2)) {
                    $prefix = $name . '\\';
                    $this->at += 3;
                    continue;
                }
                $alias = substr((string) strrchr('\\' . $name, '\\'), 1);
                if ($this->is(T_AS, 1)) {
                    $alias = $this->token(2)->text;
                    $this->at += 2;
                }
                if ($kind === 'class') {
                    $this->uses[strtolower($alias)] = $name;
                }
            }
            $this->at++;
        }
    }

    private function const(): void
    {
        $this->at++;
        while ($this->is(T_STRING)) {
            $name = $this->token()->text;
            $this->at++;
            if (!$this->is('=')) {
                break;
            }
            $this->at++;
            $start = $this->at;
            $this->until([',', ';']);
            $value = self::literal(array_slice($this->tokens, $start, $this->at - $start));
            if ($value !== null) {
                $this->constants[strtolower($name)] = $value[0];
            }
            if (!$this->is(',')) {
                break;
            }
            $this->at++;
        }
    }

    /**
     * The value of a literal expression as [value], or null for anything else. Arrays are literals of literals.
     *
     * @param list<\PhpToken> $tokens
     */
    public static function literal(array $tokens): ?array
    {
        if ($tokens === []) {
            return null;
        }
        foreach ($tokens as $token) {
            $fits = $token->is([T_LNUMBER, T_DNUMBER, T_CONSTANT_ENCAPSED_STRING, T_DOUBLE_ARROW, T_ARRAY, T_START_HEREDOC, T_END_HEREDOC,
                T_ENCAPSED_AND_WHITESPACE, '[', ']', '(', ')', ',', '-', '+', '.'])
                || $token->is(T_STRING) && in_array(strtolower($token->text), ['true', 'false', 'null'], true)
                || $token->is(T_STRING) && false;
            if (!$fits) {
                return null;
            }
        }
        $code = '';
        foreach ($tokens as $token) {
            $code .= $token->text . ($token->is([T_START_HEREDOC, T_ENCAPSED_AND_WHITESPACE, T_END_HEREDOC]) ? '' : ' ');
        }
        try {
            // Nothing but literals and the brackets around them is left of it.
            return [eval('return ' . $code . ';')];
        } catch (\Throwable) {
            return null;
        }
    }

    public function resolve(string $name): string
    {
        if ($name[0] === '\\') {
            return substr($name, 1);
        }
        [$first, $rest] = explode('\\', $name, 2) + [1 => null];
        $first = $this->uses[strtolower($first)] ?? ($first === 'namespace' ? $this->namespace : null);
        if ($first !== null) {
            return $rest === null ? $first : "$first\\$rest";
        }
        return $this->namespace === '' ? $name : $this->namespace . '\\' . $name;
    }

    /** The text of a type up to one of `ends`. */
    private function typeText(): string
    {
        $text = '';
        while (($token = $this->token()) && ($token->is([T_STRING, T_NAME_QUALIFIED, T_NAME_FULLY_QUALIFIED, T_NAME_RELATIVE, T_ARRAY, T_CALLABLE, T_STATIC, '?', '|', '(', ')',
            T_AMPERSAND_NOT_FOLLOWED_BY_VAR_OR_VARARG]))) {
            if ($token->is(')') && substr_count($text, '(') <= substr_count($text, ')')) {
                break;
            }
            $text .= $token->text;
            $this->at++;
        }
        return $text;
    }

    private function parameters(): array
    {
        $out = [];
        $this->at++;  // (
        while (($token = $this->token()) && !$token->is(')')) {
            $doc = $token->doc ?? null;
            $one = ['type' => '', 'name' => '', 'reference' => false, 'variadic' => false, 'default' => null, 'optional' => false,
                'promoted' => false, 'doc' => $doc?->text ?? '', 'line' => $token->line];
            while ($this->is(T_ATTRIBUTE)) {
                $this->skip();
            }
            while ($this->is([T_PUBLIC, T_PROTECTED, T_PRIVATE, T_READONLY])) {
                $one['promoted'] = $this->is([T_PUBLIC, T_READONLY]) || $one['promoted'];
                if ($this->is([T_PROTECTED, T_PRIVATE])) {
                    $one['private'] = true;
                }
                $this->at++;
            }
            $one['type'] = $this->typeText();
            if ($this->is(T_AMPERSAND_FOLLOWED_BY_VAR_OR_VARARG) || $this->is('&')) {
                $one['reference'] = true;
                $this->at++;
            }
            if ($this->is(T_ELLIPSIS)) {
                $one['variadic'] = true;
                $this->at++;
            }
            if ($this->is(T_VARIABLE)) {
                $one['name'] = substr($this->token()->text, 1);
                $this->at++;
            }
            if ($this->is('=')) {
                $one['optional'] = true;
                $this->at++;
                $start = $this->at;
                $this->until([',', ')']);
                $one['default'] = self::literal(array_slice($this->tokens, $start, $this->at - $start));
            }
            $out[] = $one;
            $this->until([',', ')']);
            if ($this->is(',')) {
                $this->at++;
            }
        }
        $this->at++;  // )
        return $out;
    }

    private function function(\PhpToken $start, bool $nested): void
    {
        $doc = $start->doc ?? null;
        $this->at++;
        $reference = false;
        if ($this->is('&') || $this->is(T_AMPERSAND_NOT_FOLLOWED_BY_VAR_OR_VARARG)) {
            $reference = true;
            $this->at++;
        }
        $name = $this->token();
        $this->at++;
        $parameters = $this->parameters();
        $returns = '';
        if ($this->is(':')) {
            $this->at++;
            $returns = $this->typeText();
        }
        $yields = false;
        if ($this->is('{')) {
            $begin = $this->at;
            $this->skip();
            $yields = $this->yields($begin, $this->at);
        }
        $this->functions[] = ['name' => $name->text, 'line' => $name->line, 'doc' => $doc?->text ?? '', 'params' => $parameters, 'returns' => $returns,
            'namespace' => $this->namespace, 'nested' => $nested, 'yields' => $yields, 'reference' => $reference, 'source' => $this];
    }

    /** Whether a body yields, those of closures left out. */
    private function yields(int $from, int $to): bool
    {
        for ($i = $from; $i < $to; $i++) {
            if ($this->tokens[$i]->is([T_YIELD, T_YIELD_FROM])) {
                return true;
            }
            if ($this->tokens[$i]->is([T_FUNCTION, T_CLASS]) && $i > $from) {
                $depth = 0;
                for (; $i < $to; $i++) {
                    if ($this->tokens[$i]->is(['{', T_CURLY_OPEN])) {
                        $depth++;
                    } elseif ($this->tokens[$i]->is('}') && --$depth === 0) {
                        break;
                    }
                }
            }
        }
        return false;
    }

    private function class(\PhpToken $start): void
    {
        $kind = strtolower($start->text);
        $name = $this->token(1)->text;
        $full = $this->namespace === '' ? $name : $this->namespace . '\\' . $name;
        $class = ['kind' => $kind, 'name' => $full, 'line' => $start->line, 'doc' => ($start->doc ?? null)?->text ?? '', 'extends' => null, 'abstract' => false, 'backed' => false,
            'cases' => [], 'properties' => [], 'constructor' => null, 'json' => false, 'source' => $this];
        $before = $this->tokens[$this->at - 1] ?? null;
        $class['abstract'] = $kind === 'interface' || $kind === 'trait' || ($before !== null && $before->is(T_ABSTRACT));
        $this->at += 2;
        if ($this->is(':')) {
            $class['backed'] = true;
        }
        while (($token = $this->token()) && !$token->is('{')) {
            if ($token->is(T_EXTENDS) && $kind === 'class') {
                $class['extends'] = $this->resolve($this->token(1)->text);
            }
            if ($token->is([T_STRING, T_NAME_FULLY_QUALIFIED]) && ltrim(strtolower($token->text), '\\') === 'jsonserializable') {
                $class['json'] = true;
            }
            $this->at++;
        }
        $this->at++;
        while (($token = $this->token()) && !$token->is('}')) {
            $this->member($class, $token);
        }
        $this->at++;
        $this->classes[strtolower($full)] = $class;
    }

    private function member(array &$class, \PhpToken $token): void
    {
        $doc = ($token->doc ?? null)?->text ?? '';
        while ($this->is(T_ATTRIBUTE)) {
            $this->skip();
        }
        if ($this->is(T_CASE)) {
            $name = $this->token(1)->text;
            $this->at += 2;
            $value = [$name];
            if ($this->is('=')) {
                $this->at++;
                $begin = $this->at;
                $this->until([';']);
                $value = self::literal(array_slice($this->tokens, $begin, $this->at - $begin));
            }
            $class['cases'][] = $value;
            $this->until([';']);
            $this->at++;
            return;
        }
        $public = true;
        $static = false;
        while ($this->is([T_PUBLIC, T_PROTECTED, T_PRIVATE, T_STATIC, T_READONLY, T_VAR, T_FINAL, T_ABSTRACT])) {
            $public = $public && !$this->is([T_PROTECTED, T_PRIVATE]);
            $static = $static || $this->is(T_STATIC);
            $this->at++;
        }
        if ($this->is(T_FUNCTION)) {
            $this->at++;
            if ($this->is('&') || $this->is(T_AMPERSAND_NOT_FOLLOWED_BY_VAR_OR_VARARG)) {
                $this->at++;
            }
            $name = strtolower($this->token()->text);
            $this->at++;
            $parameters = $this->parameters();
            if ($name === '__construct') {
                $class['constructor'] = ['params' => $parameters, 'public' => $public, 'doc' => $doc];
            }
            $this->until(['{', ';']);
            $this->is('{') ? $this->skip() : $this->at++;
            return;
        }
        if ($this->is([T_CONST, T_USE])) {
            $this->until([';', '{']);
            $this->is('{') ? $this->skip() : $this->at++;
            return;
        }
        $type = $this->typeText();
        if (!$this->is(T_VARIABLE)) {
            $this->at++;
            return;
        }
        while ($this->is(T_VARIABLE)) {
            $one = ['name' => substr($this->token()->text, 1), 'type' => $type, 'doc' => $doc, 'optional' => false, 'default' => null];
            $this->at++;
            if ($this->is('=')) {
                $this->at++;
                $begin = $this->at;
                $this->until([',', ';']);
                $one['optional'] = true;
                $one['default'] = self::literal(array_slice($this->tokens, $begin, $this->at - $begin));
            }
            if ($public && !$static) {
                $class['properties'][] = $one;
            }
            if ($this->is(',')) {
                $this->at++;
            }
        }
        $this->until([';']);
        $this->at++;
    }

    /**
     * A doc comment without its marks: the text, and its tags as [name, text] in order.
     *
     * @return array{string, list<array{string, string}>}
     */
    public static function docText(string $comment): array
    {
        $comment = preg_replace('~\A/\*\*|\*/\z~', '', $comment);
        $lines = [];
        foreach (explode("\n", $comment) as $line) {
            $lines[] = rtrim(preg_replace('~^\s*\* ?~', '', $line));
        }
        $text = [];
        $tags = [];
        foreach ($lines as $line) {
            if (preg_match('~^\s*@([\w-]+)\s*(.*)$~', $line, $match)) {
                $tags[] = [strtolower($match[1]), $match[2]];
            } elseif ($tags !== [] && trim($line) !== '') {
                $tags[count($tags) - 1][1] .= "\n" . trim($line);
            } elseif ($tags === []) {
                $text[] = $line;
            }
        }
        return [trim(implode("\n", $text)), $tags];
    }
}
