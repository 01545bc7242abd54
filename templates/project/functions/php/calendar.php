<?php

declare(strict_types=1);

namespace Calendar;

/** A time that is taken. */
final class Booking
{
    public function __construct(
        public readonly string $title,
        public readonly \DateTimeImmutable $from,
        /** @var positive-int how long it takes */
        public readonly int $minutes = 60,
    ) {
    }

    public function end(): \DateTimeImmutable
    {
        return $this->from->modify("+$this->minutes minutes");
    }
}

/**
 * The first time in a day's working hours, nine to five, that is free for long enough.
 *
 * @param \DateTimeImmutable $day any time of that day
 * @param list<Booking> $bookings what is taken already
 * @param positive-int $minutes how long it has to be
 * @return ?\DateTimeImmutable nothing when the day is full
 * @effect read
 */
function first_free(\DateTimeImmutable $day, array $bookings, int $minutes = 30): ?\DateTimeImmutable
{
    usort($bookings, static fn(Booking $a, Booking $b) => $a->from <=> $b->from);
    $free = $day->setTime(9, 0);
    foreach ($bookings as $booking) {
        if ($booking->from >= $free->modify("+$minutes minutes")) {
            break;
        }
        $free = max($free, $booking->end());
    }
    return $free->modify("+$minutes minutes") <= $day->setTime(17, 0) ? $free : null;
}
