<?php

declare(strict_types=1);

require_once __DIR__ . '/../calendar.php';

use Calendar\Booking;
use PHPUnit\Framework\TestCase;

use function Calendar\first_free;

final class CalendarTest extends TestCase
{
    public function testFindsTheGapBetweenTwoBookings(): void
    {
        $day = new DateTimeImmutable('2026-05-04T00:00:00Z');
        $taken = [new Booking('lunch', $day->setTime(10, 0)), new Booking('call', $day->setTime(9, 0), 45)];
        $this->assertEquals($day->setTime(11, 0), first_free($day, $taken));
        $this->assertEquals($day->setTime(9, 45), first_free($day, $taken, 15));
    }

    public function testAFullDayHasNone(): void
    {
        $day = new DateTimeImmutable('2026-05-04T00:00:00Z');
        $this->assertNull(first_free($day, [new Booking('workshop', $day->setTime(9, 0), 480)]));
    }

    public function testThroughTheEngine(): void
    {
        $taken = [['title' => 'call', 'from' => '2026-05-04T09:00:00Z']];
        $this->assertSame('2026-05-04T10:00:00+00:00', Sabir\call('calendar.first_free', ['day' => '2026-05-04T12:00:00Z', 'bookings' => $taken]));
    }
}
