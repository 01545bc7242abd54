<?php

declare(strict_types=1);

// Unit tests of the readers and of JSON: php run.php. Ends with 1 when one fails.

use Sabir\BigInteger;
use Sabir\Bytes;
use Sabir\Json;
use Sabir\Reader\Problem;
use Sabir\Reader\Source;
use Sabir\Reader\SyntaxError;
use Sabir\Reader\Types;

require __DIR__ . '/../sdk/autoload.php';
foreach (['Types', 'Source', 'Library', 'Functions'] as $name) {
    require __DIR__ . "/../lib/$name.php";
}

$failed = 0;
$passed = 0;
$check = static function (string $what, mixed $expected, mixed $actual) use (&$failed, &$passed): void {
    if ($expected === $actual) {
        $passed++;
        return;
    }
    $failed++;
    echo "FAILED: $what\n  expected ", json_encode($expected), "\n  but got  ", json_encode($actual), "\n";
};
$throws = static function (string $class, callable $run) use ($check): void {
    try {
        $run();
        $check("$class is thrown", true, false);
    } catch (Throwable $error) {
        $check("$class is thrown", $class, $error::class);
    }
};

// JSON
foreach (['9223372036854775807', '[1,-9223372036854775808]', '123456789012345678901234567890', '{"a":-99999999999999999999}', '1.5', '3.0', '"12345678901234567890123"',
    '{"a":"\\\\\"99999999999999999999"}', '{}', '[]', '{"a":{}}', '"é\u0000"'] as $text) {
    [$again] = Json::encode(Json::decode($text), '/value');
    $check("$text comes back", json_encode(json_decode($text, false, 512, JSON_BIGINT_AS_STRING)), json_encode(json_decode($again, false, 512, JSON_BIGINT_AS_STRING)));
}
$check('a large integer is exact', '123456789012345678901234567890', Json::encode(Json::decode('123456789012345678901234567890'), '')[0]);
$check('a text of digits stays text', '12345678901234567890123', Json::decode('"12345678901234567890123"'));
$check('half of a surrogate pair', "a\u{fffd}b", Json::decode('"a\ud800b"'));
$check('the other half', "a\u{fffd}b", Json::decode('"a\udc00b"'));
$check('a whole pair', '😀', Json::decode('"\ud83d\ude00"'));
$check('a pair and half of one', "😀\u{fffd}", Json::decode('"\ud83d\ude00\udc00"'));
$check('an escaped backslash before u', '\ud800', Json::decode('"\\\\ud800"'));
$throws(JsonException::class, static fn() => Json::decode(str_repeat('[', 10000)));
foreach ([NAN, [INF], "\xff", static fn() => 1, ['a' => [fopen('php://memory', 'r')]], new DateInterval('P1D')] as $unfit) {
    $throws(Sabir\Unfit::class, static fn() => Json::encode($unfit, ''));
}
[$text, $places, $blobs] = Json::encode(['a/b' => str_repeat('é', 40000), 'raw' => new Bytes(str_repeat("\xff", 65536)), 'few' => new Bytes("\0\1")], '/value');
$check('large values are apart', '{"a/b":null,"raw":null,"few":"AAE="}', $text);
$check('their places', [['at' => '/value/a~1b', 'type' => 'string'], ['at' => '/value/raw', 'type' => 'bytes']], $places);
$back = Json::place(Json::decode('{"value":' . $text . '}'), Json::decode((string) json_encode($places)), $blobs);
$check('they come back', true, $back->value->{'a/b'} === $blobs[0] && $back->value->raw->data === $blobs[1]);
foreach (['[{"at":"/a","type":"stone"}]', '[{"at":"/b","type":"string"}]', '[{"at":"","type":"string"}]', '[]', '[{"at":"/n","type":"string"}]'] as $list) {
    $throws(UnexpectedValueException::class, static fn() => Json::place(Json::decode('{"a":null,"n":1}'), Json::decode($list), ['x']));
}
$throws(InvalidArgumentException::class, static fn() => new BigInteger('1e5'));

// Types
$same = static fn(string $name): string => $name;
$check('nested generics', ['k' => 'map', 'of' => ['k' => 'list', 'of' => ['k' => 'union', 'of' => [['k' => 'int', 'min' => 1, 'max' => 9], ['k' => 'null']]]]],
    Types::parse('array<string, list<int<1, 9>|null>>', $same));
$check('a shape', ['k' => 'shape', 'members' => ['a' => [['k' => 'literal', 'value' => 'x'], true]], 'open' => true], Types::parse("array{a?: 'x', ...}", $same));
foreach (['array<', 'int|', 'A&B', 'callable', 'list<int>>', str_repeat('?', 5000) . 'int', str_repeat('(', 5000), '', '$x', "'a"] as $bad) {
    $throws(Problem::class, static fn() => Types::parse($bad, $same));
}

// Sources, whole and cut anywhere
$source = (string) file_get_contents(__DIR__ . '/../testee.php');
$check('a file is read', true, count((new Source($source))->functions) > 15);
for ($i = 0; $i < strlen($source); $i += 37) {
    try {
        new Source(substr($source, 0, $i));
    } catch (SyntaxError) {
        // Anything else would end these tests.
    }
}
$check('a computed constant is none', [], (new Source('<?php const A = PHP_VERSION; const B = f(); const C = "a$b";'))->constants);

echo "$passed passed, $failed failed\n";
exit($failed === 0 ? 0 : 1);
