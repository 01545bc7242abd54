<?php

declare(strict_types=1);

// The test command (spec/language.md): PHPUnit, the project's own or the machine's, with the SDK at hand.
// tests.php SDK REPORT FILE…

if ($argc < 4) {
    fwrite(STDERR, "usage: tests.php SDK REPORT FILE…\n");
    exit(2);
}
[, $sdk, $report] = $argv;
$files = array_slice($argv, 3);
$own = array_filter(['vendor/bin/phpunit', 'functions/php/vendor/bin/phpunit'], 'is_file');
$runner = $own !== [] ? [PHP_BINARY, reset($own)] : null;
if ($runner === null) {
    foreach (explode(PATH_SEPARATOR, (string) getenv('PATH')) as $folder) {
        if (is_executable("$folder/phpunit")) {
            $runner = ["$folder/phpunit"];
            break;
        }
    }
}
if ($runner === null) {
    fwrite(STDERR, "PHPUnit is not installed\n");
    exit(127);
}
$folder = sys_get_temp_dir() . '/sabir-php-' . bin2hex(random_bytes(8));
mkdir($folder, 0700);
$status = 1;
try {
    // Composer's classes first, then the SDK, then classes of the project's own files as the worker finds them.
    $lines = ['<?php', 'foreach (["vendor/autoload.php", "functions/php/vendor/autoload.php"] as $file) {', '    if (is_file($file)) {', '        require_once $file;', '    }', '}',
        'require_once ' . var_export("$sdk/autoload.php", true) . ';'];
    foreach (['Types', 'Source', 'Library'] as $name) {
        $lines[] = 'require_once ' . var_export(__DIR__ . "/lib/$name.php", true) . ';';
    }
    array_push($lines, '$library = new Sabir\Reader\Library((string) getcwd());', 'spl_autoload_register(static function (string $class) use ($library): void {',
        '    if (($file = $library->fileOf($class)) !== null) {', '        require_once $file;', '    }', '});');
    file_put_contents("$folder/bootstrap.php", implode("\n", $lines) . "\n");
    $suite = new DOMDocument('1.0', 'UTF-8');
    $root = $suite->appendChild($suite->createElement('phpunit'));
    $root->setAttribute('bootstrap', "$folder/bootstrap.php");
    $root->setAttribute('cacheResult', 'false');
    $root->setAttribute('colors', 'false');
    $list = $root->appendChild($suite->createElement('testsuites'))->appendChild($suite->createElement('testsuite'));
    $list->setAttribute('name', 'php');
    foreach ($files as $file) {
        $list->appendChild($suite->createElement('file', htmlspecialchars(getcwd() . '/' . $file, ENT_XML1)));
    }
    $suite->save("$folder/phpunit.xml");
    $process = proc_open([...$runner, '--configuration', "$folder/phpunit.xml", '--log-junit', $report], [0 => ['file', '/dev/null', 'r'], 1 => STDOUT, 2 => STDERR], $pipes);
    $status = $process === false ? 127 : proc_close($process);
    // The report says where a test stands, not where it failed: that is in the failure's text.
    $junit = new DOMDocument();
    if (is_file($report) && @$junit->load($report)) {
        foreach ((new DOMXPath($junit))->query('//testcase[failure or error]') as $case) {
            $file = $case->getAttribute('file');
            foreach ($case->childNodes as $child) {
                if ($child instanceof DOMElement && $file !== '' && preg_match_all('~^(/.+):(\d+)$~m', $child->textContent, $places, PREG_SET_ORDER)) {
                    foreach ($places as $place) {
                        if ($place[1] === $file) {
                            $case->setAttribute('line', $place[2]);
                        }
                    }
                    $lines = array_values(array_filter(array_map('trim', explode("\n", $child->textContent)), static fn($line) => $line !== ''));
                    $child->setAttribute('message', $lines[1] ?? $lines[0] ?? 'it failed');
                }
            }
        }
        $junit->save($report);
    }
} finally {
    array_map('unlink', (array) glob("$folder/*"));
    rmdir($folder);
}
exit($status);
