<?php

declare(strict_types=1);

// What is kept here, every language of the project reads: they share one store.

use Sabir\Memory;

/**
 * Keeps a result under a name, in place of the one that was there.
 *
 * @param mixed $result anything that JSON can hold
 * @param string $name what to ask for it by
 * @return int the result's version: 1 for the first of that name, then 2, and so on
 */
function store_result(mixed $result, string $name = 'latest'): int
{
    return Memory::put("results/$name", $result);
}

/**
 * Gives back the result that was last stored under a name, or null if there is none.
 *
 * @param string $name the name it was stored under
 * @effect read
 */
function retrieve_result(string $name = 'latest'): mixed
{
    return Memory::get("results/$name");
}
