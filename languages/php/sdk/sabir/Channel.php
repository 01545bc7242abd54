<?php

declare(strict_types=1);

namespace Sabir;

/** The connection that this process's requests go over: the worker's own, or one to the project's engine. */
final class Channel
{
    private const CONNECT = 10.0;

    /** The worker's connection; null in every other process. */
    public static ?Connection $worker = null;
    /** The id of the call that the worker runs. */
    public static mixed $running = null;
    /** @var ?\Closure(): bool whether the running call is known to be cancelled; reads nothing */
    public static ?\Closure $givenUp = null;
    /** @var ?\Closure(): bool the same, after a look at what has arrived */
    public static ?\Closure $cancelled = null;
    private static ?Connection $client = null;
    /** @var list<mixed> what has to live as long as the connection */
    private static array $kept = [];

    public static function ask(string $method, array $params, string $large = '', ?\Closure $chunk = null): mixed
    {
        if (self::$worker !== null) {
            if (self::$running !== null) {
                $params['parent'] = self::$running;
            }
            return self::$worker->ask($method, $params, $large, $chunk, null, self::$givenUp);
        }
        try {
            return (self::$client ??= self::connect())->ask($method, $params, $large, $chunk);
        } finally {
            if (self::$client?->closed) {
                self::close();
            }
        }
    }

    public static function close(): void
    {
        self::$client = null;
        foreach (self::$kept as $one) {
            if (is_resource($one) && get_resource_type($one) === 'stream') {
                fclose($one);
            }
        }
        foreach (self::$kept as $one) {
            if (is_resource($one) && get_resource_type($one) === 'process') {
                proc_close($one);
            }
        }
        self::$kept = [];
    }

    private static function environment(): string
    {
        return getenv('SABIR_ENV') ?: 'development';
    }

    private static function root(): string
    {
        $given = getenv('SABIR_PROJECT') ?: '';
        $start = $given !== '' ? $given : (string) getcwd();
        for ($folder = $start; ; $folder = dirname($folder)) {
            if (is_file($folder . '/sabir.yml')) {
                return $folder;
            }
            if ($given !== '' || dirname($folder) === $folder) {
                throw new Error('no_project', "no Sabir project at $start: there is no sabir.yml",
                    "change into the project's folder, set SABIR_PROJECT, or make one with `sabir new`");
            }
        }
    }

    private static function connect(): Connection
    {
        $root = self::root();
        if (getenv('SABIR_RECORD') || getenv('SABIR_REPLAY') || getenv('SABIR_STATE_DIR') || getenv('SABIR_ENGINE')) {
            // What is recorded or replayed, has a store of its own or goes to an engine elsewhere is this process's own.
            return self::attach($root);
        }
        $published = json_decode((string) @file_get_contents("$root/.sabir/" . self::environment() . '/engine.json'));
        if (($published->format ?? null) === 1 && is_string($published->socket ?? null)) {
            $stream = @stream_socket_client('unix://' . $published->socket, timeout: self::CONNECT);
            if ($stream !== false) {
                self::$kept = [$stream];
                try {
                    return self::greet($stream, $root);
                } catch (Error) {
                    self::close();
                }
            }
        }
        return self::attach($root);
    }

    private static function attach(string $root): Connection
    {
        $binary = getenv('SABIR_BIN') ?: 'sabir';
        $environment = ['SABIR_FD' => '3'] + getenv();
        $process = @proc_open([$binary, 'attach', '--project', $root, '--env', self::environment()],
            [0 => ['file', '/dev/null', 'r'], 1 => STDERR, 2 => STDERR, 3 => ['socket']], $pipes, $root, $environment);
        if ($process === false) {
            throw new Error('unavailable', "the engine `$binary` does not start", 'put it on PATH, or set SABIR_BIN to its path');
        }
        self::$kept = [$pipes[3], $process];
        try {
            return self::greet($pipes[3], $root);
        } catch (Error $error) {
            self::close();
            throw $error;
        }
    }

    /** @param resource $stream */
    private static function greet($stream, string $root): Connection
    {
        stream_set_blocking($stream, true);
        stream_set_timeout($stream, 366 * 86400);
        $connection = null;
        $connection = Connection::ofStream($stream, function (object $message) use (&$connection): void {
            if (property_exists($message, 'id')) {
                $message->method === 'ping' ? $connection->answer($message->id, '{}')
                    : $connection->answerError($message->id, -32601, 'unknown_method', 'unknown method ' . $message->method);
                $connection->flush();
            }
        });
        $params = ['protocol' => ['min' => 1, 'max' => 1], 'role' => 'client', 'sdk' => VERSION, 'language' => 'php', 'project' => $root];
        if (getenv('SABIR_USER')) {
            $params['context'] = ['user' => getenv('SABIR_USER')];
        }
        $connection->ask('hello', $params, seconds: self::CONNECT);
        return $connection;
    }
}
