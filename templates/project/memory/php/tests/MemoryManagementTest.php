<?php

declare(strict_types=1);

require_once __DIR__ . '/../memory_management.php';

use PHPUnit\Framework\TestCase;

final class MemoryManagementTest extends TestCase
{
    public function testGivesBackWhatWasStored(): void
    {
        $result = (object) ['words' => 3, 'list' => [1, 2.5, null], 'text' => 'Été'];
        store_result($result, 'php test');
        $this->assertEquals($result, retrieve_result('php test'));
    }

    public function testGivesNullForANameWithoutAResult(): void
    {
        $this->assertNull(retrieve_result('nothing was stored here'));
    }
}
