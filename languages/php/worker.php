<?php

declare(strict_types=1);

// Serves a project's PHP functions to the engine (spec/worker-protocol.md). Calls run one at a time, in the order of their arrival.

namespace Sabir\Worker;

use Sabir\Channel;
use Sabir\Connection;
use Sabir\Context;
use Sabir\FrameError;
use Sabir\Json;
use Sabir\Reader\Functions;
use Sabir\Reader\Library;
use Sabir\Reader\Source;
use Sabir\Reader\SyntaxError;
use Sabir\Unfit;

require __DIR__ . '/sdk/autoload.php';
require __DIR__ . '/lib/Types.php';
require __DIR__ . '/lib/Source.php';
require __DIR__ . '/lib/Library.php';
require __DIR__ . '/lib/Functions.php';
require __DIR__ . '/lib/Convert.php';

/** A file that could not be loaded. */
final class LoadFailed extends \Exception
{
    public function __construct(string $message, public readonly string $at, public readonly int $atLine)
    {
        parent::__construct($message);
    }
}

final class Worker
{
    /** A function slower than this has earlier answers written before it runs, in seconds. */
    private const QUICK = 0.0002;

    private const AHEAD = 1000;  // calls that are read before they run

    private readonly Connection $connection;
    private readonly Library $library;
    private readonly Convert $convert;
    /** @var list<array{\stdClass, list<string>}> */
    private array $queue = [];
    /** @var array<string, array<string, array>> file -> name -> function */
    private array $loaded = [];
    private bool $cancelled = false;
    private mixed $current = null;
    private bool $inCall = false;
    private string $root = '';
    /** @var string[] paths of code that was not written for the engine */
    private array $sources = [];
    private ?string $boot = null;
    /** Freed when memory has run out, so that the error can be told. */
    private ?string $reserve = null;

    /**
     * @param resource $in
     * @param resource $out
     */
    public function __construct($in, $out)
    {
        $this->connection = new Connection($in, $out, $this->meanwhile(...));
        Channel::$worker = $this->connection;
        Channel::$givenUp = fn(): bool => $this->cancelled;
        Channel::$cancelled = function (): bool {
            $this->readAhead();
            return $this->cancelled;
        };
        $this->library = new Library('');
        $this->convert = new Convert($this->library);
        set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
            if ((error_reporting() & $level) !== 0) {
                fwrite(STDERR, "PHP: $message in $file:$line\n");
            }
            return true;
        });
        register_shutdown_function($this->afterExit(...));
    }

    /** exit() in a function, and errors that PHP does not throw, end here: the call fails, the worker goes on. */
    private function afterExit(): void
    {
        if (!$this->inCall) {
            return;
        }
        $this->reserve = null;
        $error = error_get_last();
        $fatal = $error !== null && in_array($error['type'], [E_ERROR, E_CORE_ERROR, E_COMPILE_ERROR, E_USER_ERROR, E_RECOVERABLE_ERROR], true);
        $data = ['error_class' => $fatal ? 'Error' : 'exit'] + ($fatal ? ['file' => $error['file'], 'line' => $error['line']] : []);
        $this->fail($this->current, 'function_error', $fatal ? $error['message'] : 'the function called exit()', $data);
        $this->connection->flush();
        $this->inCall = false;
        Channel::$running = null;
        register_shutdown_function($this->afterExit(...));
        $this->serve();
    }

    public function serve(): void
    {
        try {
            while (true) {
                // A cancellation that lies behind a call is taken before the call.
                while ($this->queue === [] || (count($this->queue) < self::AHEAD && $this->connection->ready())) {
                    if ($this->queue === [] && $this->connection->hasUnsent() && !$this->connection->ready()) {
                        $this->connection->flush();
                    }
                    $frame = $this->connection->receive();
                    if ($frame === null) {
                        return;
                    }
                    if (!$this->other(...$frame)) {
                        $this->queue[] = $frame;
                    }
                }
                [$message, $blobs] = array_shift($this->queue);
                if ($message->method === 'drain') {
                    $this->connection->answer($message->id, '{}');
                    $this->connection->flush();
                    return;
                }
                $this->call($message->id, $message->params ?? null, $blobs);
            }
        } catch (FrameError) {
            // It was answered.
        }
    }

    /** Messages that come while a call waits for the engine, or computes and asks. */
    private function meanwhile(object $message, array $blobs): void
    {
        if (!$this->other($message, $blobs)) {
            $this->queue[] = [$message, $blobs];
        }
        $this->connection->flush();
    }

    private function readAhead(): void
    {
        while (!$this->connection->closed && $this->connection->ready()) {
            $frame = $this->connection->receive();
            if ($frame === null) {
                $this->cancelled = true;
                return;
            }
            if (isset($frame[0]->method)) {
                $this->meanwhile(...$frame);
            }
        }
    }

    /** Everything but calls and drain, which keep their order; false for those. */
    private function other(\stdClass $message, array $blobs): bool
    {
        $method = $message->method ?? null;
        if ($method === null) {
            return true;  // an answer that nobody waits for
        }
        if (!property_exists($message, 'id')) {
            if ($method === 'cancel') {
                $this->cancel($message->params ?? null);
            }
            return true;
        }
        $id = $message->id;
        $params = $message->params ?? null;
        switch ($method) {
            case 'call':
            case 'drain':
                return false;
            case 'ping':
                $this->connection->answer($id, '{}');
                break;
            case 'hello':
                $this->hello($id, $params);
                break;
            case 'start':
                if (!$params instanceof \stdClass || !is_string($params->project ?? null)) {
                    $this->connection->answerError($id, -32602, 'invalid_arguments', "start needs the project's folder");
                    break;
                }
                $this->start($params);
                $this->connection->answer($id, '{}');
                break;
            default:
                $this->connection->answerError($id, -32601, 'unknown_method', "unknown method $method");
        }
        $this->connection->flush();
        return true;
    }

    private function hello(mixed $id, mixed $params): void
    {
        $min = $params->protocol->min ?? null;
        $max = $params->protocol->max ?? null;
        if (!is_int($min) || !is_int($max)) {
            $this->connection->answerError($id, -32602, 'invalid_arguments', 'hello needs protocol.min and protocol.max');
        } elseif ($min > 1 || $max < 1) {
            $this->connection->answerError($id, -32001, 'protocol', 'this worker speaks protocol 1');
            $this->connection->flush();
            exit(1);
        } else {
            $this->connection->answer($id, Json::text(['protocol' => 1, 'language' => 'php', 'runtime' => PHP_VERSION, 'sdk' => \Sabir\VERSION,
                'capabilities' => ['blobs' => true, 'chunks' => true, 'cancel' => false]]));
        }
    }

    private function start(\stdClass $params): void
    {
        $this->root = $params->project;
        $this->library->below($this->root);
        putenv('SABIR_PROJECT=' . $this->root);
        if (is_string($params->environment ?? null) && getenv('SABIR_ENV') === false) {
            putenv('SABIR_ENV=' . $params->environment);
        }
        foreach (['', '/functions/php'] as $folder) {
            if (is_file($this->root . $folder . '/vendor/autoload.php')) {
                require_once $this->root . $folder . '/vendor/autoload.php';
            }
        }
        $this->sources = is_array($params->sources ?? null) ? array_filter($params->sources, 'is_string') : [];
        $this->boot = is_string($params->boot ?? null) ? $params->boot : null;
        spl_autoload_register(function (string $class): void {
            $file = $this->library->fileOf($class);
            if ($file !== null && !isset($this->loaded[$file])) {
                $this->load($file);
            }
        });
    }

    private function cancel(mixed $params): void
    {
        $id = $params->id ?? null;
        if ($this->inCall && $id === $this->current) {
            $this->cancelled = true;
            return;
        }
        foreach ($this->queue as $i => [$message]) {
            if ($message->method === 'call' && $message->id === $id) {
                array_splice($this->queue, $i, 1);
                $this->fail($id, 'cancelled', 'the call was cancelled before it ran', ['reason' => $params->reason ?? '']);
                $this->connection->flush();
                return;
            }
        }
    }

    private function fail(mixed $id, string $type, string $message, array $data = []): void
    {
        $this->connection->answerError($id, $type === 'invalid_arguments' ? -32602 : -32000, $type, $message, $data);
    }

    private function isExisting(string $file): bool
    {
        foreach ($this->sources as $source) {
            if ($file === $source || str_starts_with($file, $source . '/')) {
                return true;
            }
        }
        return false;
    }

    /** @return array<string, array> the file's functions by their names */
    private function load(string $file): array
    {
        if (isset($this->loaded[$file])) {
            return $this->loaded[$file];
        }
        $text = @file_get_contents($file);
        if ($text === false) {
            throw new LoadFailed("$file cannot be read", $file, 0);
        }
        try {
            $source = new Source($text);
        } catch (SyntaxError $error) {
            throw new LoadFailed($error->getMessage(), $file, $error->at);
        }
        if ($this->boot !== null && $this->boot !== $file) {
            [$boot, $this->boot] = [$this->boot, null];
            try {
                require_once $boot;
            } catch (\Throwable $error) {
                $this->boot = $boot;
                [$at, $line] = $this->placeOf($error, $boot);
                throw new LoadFailed($error::class . ': ' . $error->getMessage(), $at, $line);
            }
        }
        // The application may have loaded it itself.
        $there = $this->isExisting($file) && in_array($file, get_included_files(), true);
        // What PHP would end the process for.
        foreach ($there ? [] : $source->functions as $one) {
            $full = (($one['namespace'] ?? '') === '' ? '' : $one['namespace'] . '\\') . $one['name'];
            if (!$one['nested'] && function_exists($full)) {
                $there = new \ReflectionFunction($full);
                $where = $there->isInternal() ? 'PHP itself' : $there->getFileName() . ':' . $there->getStartLine();
                throw new LoadFailed("$full() is defined by $where already; a namespace of its own would keep them apart", $file, $one['line']);
            }
        }
        foreach ($there ? [] : $source->classes as $one) {
            if (class_exists($one['name'], false) || interface_exists($one['name'], false) || enum_exists($one['name'], false)) {
                $where = (new \ReflectionClass($one['name']))->getFileName() ?: 'PHP itself';
                throw new LoadFailed("{$one['name']} is defined by $where already; a namespace of its own would keep them apart", $file, $one['line']);
            }
        }
        try {
            (static function () use ($file, $there): void {
                if (!$there) {
                    require $file;
                }
            })();
        } catch (\Throwable $error) {
            [$at, $line] = $this->placeOf($error, $file);
            throw new LoadFailed($error::class . ': ' . $error->getMessage(), $at, $line);
        }
        $functions = [];
        foreach (Functions::of($source, $this->library)[0] as $one) {
            $full = ($one['_namespace'] === '' ? '' : $one['_namespace'] . '\\') . $one['_name'];
            if (!function_exists($full)) {
                continue;
            }
            $entry = ['call' => $full(...), 'parameters' => $one['parameters'], 'result' => $one['_result'], 'name' => $one['_name'], 'source' => $source, 'quick' => false];
            $functions[$one['_name']] = $entry;
            $functions[$one['name']] ??= $entry;
        }
        return $this->loaded[$file] = $functions;
    }

    /** The innermost place of an error in one of the project's own files. */
    private function placeOf(\Throwable $error, string $file): array
    {
        $frames = [['file' => $error->getFile(), 'line' => $error->getLine()], ...$error->getTrace()];
        foreach ($frames as $frame) {
            $at = $frame['file'] ?? '';
            $own = $at === $file || ($this->root !== '' && str_starts_with($at, $this->root . '/') && !str_contains($at, '/vendor/') && !str_starts_with($at, __DIR__ . '/'));
            if ($own) {
                return [$at, $frame['line'] ?? 0];
            }
        }
        return [$file, 0];
    }

    private function call(mixed $id, mixed $params, array $blobs): void
    {
        if (!$params instanceof \stdClass || !is_string($params->module ?? null) || !is_string($params->function ?? null)) {
            $this->fail($id, 'invalid_arguments', 'a call needs module, function and arguments');
            return;
        }
        if ($blobs !== [] || isset($params->blobs)) {
            try {
                $params = Json::place($params, $params->blobs ?? null, $blobs);
            } catch (\UnexpectedValueException $error) {
                $this->fail($id, 'invalid_arguments', $error->getMessage());
                return;
            }
        }
        $this->current = $id;
        $this->cancelled = false;
        $this->inCall = true;
        Channel::$running = $id;
        $this->reserve ??= str_repeat('x', 65536);
        try {
            $this->run($id, $params);
        } catch (LoadFailed $failed) {
            $this->fail($id, 'load_failed', $failed->getMessage(), ['file' => $failed->at] + ($failed->atLine > 0 ? ['line' => $failed->atLine] : []));
        } catch (Refused $refused) {
            $this->fail($id, 'invalid_arguments', $refused->getMessage());
        } catch (Unfit $unfit) {
            $this->fail($id, 'invalid_result', "$params->function returned a value that JSON cannot carry: " . $unfit->getMessage());
        } catch (\Throwable $error) {
            $this->threw($id, $error, $params->module);
        } finally {
            $this->inCall = false;
            Channel::$running = null;
        }
    }

    private function threw(mixed $id, \Throwable $error, string $module): void
    {
        [$file, $line] = $this->placeOf($error, $module);
        $data = ['error_class' => $error::class, 'file' => $file, 'traceback' => $error->getTraceAsString()] + ($line > 0 ? ['line' => $line] : []);
        $type = 'function_error';
        for ($cause = $error; $cause !== null; $cause = $cause->getPrevious()) {
            if ($cause instanceof \Sabir\Error) {
                $data['cause'] = ['type' => $cause->type, 'data' => (object) $cause->data];
                if ($cause === $error && $cause->type === 'cancelled') {
                    $type = 'cancelled';
                }
                break;
            }
        }
        $this->fail($id, $type, $error->getMessage(), $data);
    }

    private function run(mixed $id, \stdClass $params): void
    {
        $functions = $this->load($params->module);
        $entry = $functions[$params->function] ?? null;
        if ($entry === null) {
            $this->fail($id, 'unknown_function', "$params->module has no function $params->function");
            return;
        }
        [$positional, $named] = $this->bind($entry, $params);
        if (!$entry['quick']) {
            $this->connection->flush();
        }
        $began = hrtime(true);
        $value = $named === [] ? $entry['call'](...$positional) : $entry['call'](...$named);
        if ($value instanceof \Traversable && !$value instanceof \JsonSerializable) {
            $value = $this->stream($id, $value, $entry);
        }
        $functions[$params->function]['quick'] = hrtime(true) - $began < self::QUICK * 1e9;
        $this->loaded[$params->module][$params->function]['quick'] = $functions[$params->function]['quick'];
        $value = $this->convert->result($entry['result'], $value, $entry['source']);
        [$text, $places, $blobs] = Json::encode($value, '/value');
        $this->connection->answer($id, '{"value":' . $text . ($places === [] ? '' : ',"blobs":' . Json::text($places)) . '}', $blobs);
    }

    private function stream(mixed $id, \Traversable $values, array $entry): array
    {
        $all = [];
        foreach ($values as $one) {
            $one = $this->convert->result($entry['result']['of'] ?? ['k' => 'mixed'], $one, $entry['source']);
            [$text, $places, $blobs] = Json::encode($one, '/value');
            $this->connection->notify('chunk', '{"id":' . Json::text($id) . ',"value":' . $text . ($places === [] ? '' : ',"blobs":' . Json::text($places)) . '}', $blobs);
            $all[] = $one;
            if (\Sabir\cancelled()) {
                throw new \Sabir\Error('cancelled', 'the call was cancelled while it yielded');
            }
        }
        return $all;
    }

    /**
     * Arguments by position, or by name where some in the middle are left out.
     *
     * @return array{list<mixed>, array<string, mixed>}
     */
    private function bind(array $entry, \stdClass $params): array
    {
        $given = ($params->arguments ?? null) instanceof \stdClass ? get_object_vars($params->arguments) : [];
        $positional = [];
        $named = [];
        $gap = false;
        $rest = [];
        foreach ($entry['parameters'] as $parameter) {
            $name = $parameter['name'];
            if ($parameter['context'] ?? false) {
                if (array_key_exists($name, $given)) {
                    throw new Refused("the context $name is no argument");
                }
                $context = $params->context ?? null;
                $value = new Context((string) ($context->user ?? ''), (string) ($context->tenant ?? ''), (string) ($context->conversation ?? ''), (string) ($context->run ?? ''));
            } elseif (!array_key_exists($name, $given)) {
                if ($parameter['required']) {
                    throw new Refused("the argument $name is missing");
                }
                $gap = true;
                continue;
            } elseif ($parameter['kind'] === 'variadic') {
                $rest = $this->convert->value(['k' => 'list', 'of' => $parameter['_type']], $given[$name], $entry['source'], "/$name");
                unset($given[$name]);
                continue;
            } else {
                $value = $this->convert->value($parameter['_type'], $given[$name], $entry['source'], "/$name");
                unset($given[$name]);
            }
            $positional[] = $value;
            $named[$name] = $value;
        }
        if ($given !== []) {
            throw new Refused("{$entry['name']} has no parameter " . array_key_first($given));
        }
        if (!$gap || $named === []) {
            return [array_merge($positional, $rest), []];
        }
        if ($rest === []) {
            return [[], $named];
        }
        // Further positions follow, so the ones left out take their defaults.
        $positional = [];
        foreach ((new \ReflectionFunction($entry['call']))->getParameters() as $one) {
            if (!$one->isVariadic()) {
                $positional[] = array_key_exists($one->getName(), $named) ? $named[$one->getName()] : $one->getDefaultValue();
            }
        }
        return [array_merge($positional, $rest), []];
    }
}

$given = explode(',', (string) getenv('SABIR_FD'));
putenv('SABIR_FD');
if (!ctype_digit($given[0]) || (isset($given[1]) && !ctype_digit($given[1]))) {
    fwrite(STDERR, "sabir: the PHP worker is started by the engine\n");
    exit(2);
}
$in = fopen('php://fd/' . $given[0], isset($given[1]) ? 'r' : 'r+');
$out = isset($given[1]) ? fopen('php://fd/' . $given[1], 'w') : $in;
if ($in === false || $out === false) {
    fwrite(STDERR, "sabir: SABIR_FD does not name a connection\n");
    exit(2);
}
stream_set_write_buffer($out, 0);
(new Worker($in, $out))->serve();
