<?php

declare(strict_types=1);

// Tells what PHP sources offer (spec/describe.md). Reads them by tokens and never runs them.

namespace Sabir\Reader;

require __DIR__ . '/lib/Types.php';
require __DIR__ . '/lib/Source.php';
require __DIR__ . '/lib/Library.php';
require __DIR__ . '/lib/Functions.php';

ini_set('memory_limit', '1G');

function public_members(mixed $value): mixed
{
    if (!is_array($value)) {
        return $value;
    }
    $out = [];
    foreach ($value as $name => $one) {
        if (!is_string($name) || $name[0] !== '_') {
            $out[$name] = public_members($one);
        }
    }
    return $out;
}

$asked = json_decode((string) stream_get_contents(STDIN), true, 64);
if (!is_array($asked) || ($asked['version'] ?? null) !== 1 || !is_array($asked['files'] ?? null)) {
    fwrite(STDERR, "standard input is not what spec/describe.md says\n");
    exit(1);
}
$root = (string) getcwd();
$given = [];
foreach ($asked['files'] as $file) {
    $given[str_starts_with($file['path'], '/') ? $file['path'] : $root . '/' . $file['path']] = $file['source'];
}
$answers = [];
foreach ($asked['files'] as $file) {
    $library = new Library($root);
    $library->given = $given;
    try {
        $source = new Source($file['source']);
    } catch (SyntaxError $error) {
        $answers[] = ['path' => $file['path'], 'error' => ['message' => $error->getMessage(), 'line' => $error->at]];
        continue;
    }
    if (($clash = Functions::clash($source)) !== null) {
        $answers[] = ['path' => $file['path'], 'error' => ['message' => $clash[0], 'line' => $clash[1]]];
        continue;
    }
    [$functions, $unavailable] = Functions::of($source, $library);
    $depends = [];
    foreach (array_keys($library->touched) as $other) {
        $depends[] = str_starts_with($other, $root . '/') ? substr($other, strlen($root) + 1) : $other;
    }
    $answers[] = ['path' => $file['path'], 'module_doc' => $source->moduleDoc, 'constants' => (object) $source->constants,
        'functions' => public_members($functions), 'unavailable' => $unavailable, 'depends' => $depends];
}
$text = json_encode(['version' => 1, 'files' => $answers], JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION | JSON_INVALID_UTF8_SUBSTITUTE);
if ($text === false) {
    fwrite(STDERR, json_last_error_msg() . "\n");
    exit(1);
}
echo $text, "\n";
