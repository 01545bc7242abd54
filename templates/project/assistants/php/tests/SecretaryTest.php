<?php

declare(strict_types=1);

use PHPUnit\Framework\TestCase;

/** The model is played by tests/scripted_replies.json; the function it calls is the real one. */
final class SecretaryTest extends TestCase
{
    public function testAsksTheFunction(): void
    {
        $this->assertStringContainsString('T09:00:00', Sabir\ask('secretary', 'When am I free on 2026-05-04?')->content);
    }
}
