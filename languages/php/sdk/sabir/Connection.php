<?php

declare(strict_types=1);

namespace Sabir;

/** The peer broke the protocol; the connection is at its end. */
final class FrameError extends \Exception
{
}

/** One connection of the worker protocol (spec/worker-protocol.md): frames, messages, requests of our own. */
final class Connection
{
    private const LARGEST = 67108864;
    private const MOST_BLOBS = 1024;
    private const HEAD = 16384;

    private string $unsent = '';
    private int $next = 1;
    public bool $closed = false;

    /**
     * @param resource $in
     * @param resource $out
     * @param \Closure(object, list<string>): void $meanwhile takes what is no answer while an answer is waited for
     */
    public function __construct(private $in, private $out, private readonly \Closure $meanwhile)
    {
    }

    /** @param resource $stream */
    public static function ofStream($stream, \Closure $meanwhile): self
    {
        return new self($stream, $stream, $meanwhile);
    }

    public function put(string $json, array $blobs = []): void
    {
        $head = (string) strlen($json);
        foreach ($blobs as $blob) {
            $head .= ' ' . strlen($blob);
        }
        $this->unsent .= $head . "\n" . $json . implode('', $blobs);
    }

    public function flush(): void
    {
        $text = $this->unsent;
        $this->unsent = '';
        while ($text !== '') {
            $wrote = @fwrite($this->out, $text);
            if ($wrote === false || $wrote === 0) {
                $this->closed = true;
                return;
            }
            if ($wrote === strlen($text)) {
                break;
            }
            $text = substr($text, $wrote);
        }
        fflush($this->out);
    }

    public function hasUnsent(): bool
    {
        return $this->unsent !== '';
    }

    /** Whether bytes are at hand without waiting. */
    public function ready(): bool
    {
        if (stream_get_meta_data($this->in)['unread_bytes'] > 0) {
            return true;
        }
        $read = [$this->in];
        $none = null;
        return @stream_select($read, $none, $none, 0) === 1;
    }

    private function exactly(int $size): ?string
    {
        $out = '';
        while (($left = $size - strlen($out)) > 0) {
            $part = fread($this->in, $left);
            if ($part === false || $part === '') {
                return null;
            }
            $out .= $part;
        }
        return $out;
    }

    /**
     * The next frame as [message, blobs]; null when the connection has ended. What cannot be read is answered here.
     *
     * @return ?array{\stdClass, list<string>}
     */
    public function receive(): ?array
    {
        while (true) {
            $line = stream_get_line($this->in, self::HEAD + 2, "\n");
            if ($line === false) {
                $this->closed = true;
                return null;
            }
            if (strlen($line) > self::HEAD || !preg_match('/\A(?:0|[1-9][0-9]{0,8})(?: (?:0|[1-9][0-9]{0,8}))*\z/', $line)) {
                $this->broken(strlen($line) > self::HEAD ? 'the head of a frame is longer than 16384 bytes' : 'the head of a frame is malformed');
            }
            $sizes = array_map('intval', explode(' ', $line));
            if (count($sizes) > self::MOST_BLOBS + 1 || array_sum($sizes) > self::LARGEST) {
                $this->broken('a frame is larger than the protocol allows');
            }
            $parts = [];
            foreach ($sizes as $size) {
                $part = $this->exactly($size);
                if ($part === null) {
                    $this->closed = true;
                    return null;
                }
                $parts[] = $part;
            }
            $text = array_shift($parts);
            try {
                $message = Json::decode($text);
            } catch (\JsonException $error) {
                $this->answerError(null, -32700, 'protocol', "a frame's JSON text does not parse: " . $error->getMessage());
                $this->flush();
                continue;
            }
            $fits = $message instanceof \stdClass && ($message->jsonrpc ?? null) === '2.0' && (isset($message->method) ? is_string($message->method)
                : property_exists($message, 'id') && (property_exists($message, 'result') || property_exists($message, 'error')));
            if (!$fits) {
                $this->answerError(null, -32600, 'protocol', "a frame's JSON is not a JSON-RPC 2.0 object");
                $this->flush();
                continue;
            }
            if (Json::$replaced) {
                $why = "a string has a lone surrogate, which PHP's UTF-8 text cannot hold";
                if (isset($message->method)) {
                    if (property_exists($message, 'id')) {
                        $this->answerError($message->id, -32602, 'invalid_arguments', $why);
                        $this->flush();
                    }
                    continue;
                }
                unset($message->result);
                $message->error = (object) ['code' => -32000, 'message' => $why, 'data' => (object) ['type' => 'invalid_result']];
            }
            return [$message, $parts];
        }
    }

    private function broken(string $why): never
    {
        $this->answerError(null, -32600, 'protocol', $why);
        $this->flush();
        $this->closed = true;
        throw new FrameError($why);
    }

    public function answer(mixed $id, string $result, array $blobs = []): void
    {
        $this->put('{"jsonrpc":"2.0","id":' . Json::text($id) . ',"result":' . $result . '}', $blobs);
    }

    public function answerError(mixed $id, int $code, string $type, string $message, array $data = []): void
    {
        $text = json_encode(['jsonrpc' => '2.0', 'id' => $id, 'error' => ['code' => $code, 'message' => $message, 'data' => ['type' => $type] + $data]],
            JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR);
        $this->put((string) $text);
    }

    public function notify(string $method, string $params, array $blobs = []): void
    {
        $this->put('{"jsonrpc":"2.0","method":"' . $method . '","params":' . $params . '}', $blobs);
        $this->flush();
    }

    /**
     * Asks the peer and waits. `large` names the member of params whose large values travel as blobs.
     *
     * @param array<string, mixed> $params
     * @param ?\Closure(mixed): void $chunk takes what the asked function yields
     * @param ?float $seconds to wait at most; null = the engine decides
     */
    public function ask(string $method, array $params, string $large = '', ?\Closure $chunk = null, ?float $seconds = null, ?\Closure $givenUp = null): mixed
    {
        $blobs = [];
        try {
            if ($large !== '') {
                [$text, $places, $blobs] = Json::encode($params[$large], '/' . $large);
                $members = '"' . $large . '":' . $text;
                unset($params[$large]);
                if ($places !== []) {
                    $params['blobs'] = $places;
                }
                $rest = Json::text((object) $params);
                $body = $rest === '{}' ? '{' . $members . '}' : substr($rest, 0, -1) . ',' . $members . '}';
            } else {
                $body = Json::text((object) $params);
            }
        } catch (Unfit $unfit) {
            throw new Error('invalid_arguments', "$method cannot be sent: " . $unfit->getMessage());
        }
        $id = $this->next++;
        $this->put('{"jsonrpc":"2.0","id":' . $id . ',"method":"' . $method . '","params":' . $body . '}', $blobs);
        $this->flush();
        $deadline = $seconds === null ? null : microtime(true) + $seconds;
        while (true) {
            if ($givenUp !== null && $givenUp()) {
                $this->notify('cancel', '{"id":' . $id . ',"reason":"the caller has given up"}');
                throw new Error('cancelled', "$method was given up: the call was cancelled");
            }
            if ($deadline !== null && !$this->readyBy($deadline)) {
                throw new Error('timeout', "$method was not answered in time");
            }
            try {
                $frame = $this->receive();
            } catch (FrameError $error) {
                throw new Error('protocol', $error->getMessage());
            }
            if ($frame === null) {
                throw new Error('outcome_unknown', "the engine went away during $method; it may or may not have happened",
                    'try again; `sabir engine status` tells whether an engine runs');
            }
            [$message, $blobs] = $frame;
            if (isset($message->method)) {
                if ($chunk !== null && $message->method === 'chunk' && ($message->params->id ?? null) === $id) {
                    $chunk($message->params->value ?? null);
                } else {
                    ($this->meanwhile)($message, $blobs);
                }
                continue;
            }
            if ($message->id !== $id) {
                continue;
            }
            if (isset($message->error)) {
                $data = (array) json_decode((string) json_encode($message->error->data ?? []), true);
                throw new Error((string) ($data['type'] ?? 'internal'), (string) ($message->error->message ?? ''), (string) ($data['hint'] ?? ''), $data);
            }
            try {
                return Json::place($message->result, $message->result->blobs ?? null, $blobs);
            } catch (\UnexpectedValueException $error) {
                throw new Error('protocol', "the engine's answer: " . $error->getMessage());
            }
        }
    }

    private function readyBy(float $deadline): bool
    {
        if ($this->ready()) {
            return true;
        }
        $left = max(0.0, $deadline - microtime(true));
        $read = [$this->in];
        $none = null;
        return @stream_select($read, $none, $none, (int) $left, (int) (fmod($left, 1) * 1e6)) === 1;
    }
}
