<?php

declare(strict_types=1);

// The SDK: require this file, or let the engine's worker and test command do it.

foreach (['values', 'Json', 'Connection', 'Channel', 'Memory', 'functions'] as $name) {
    require_once __DIR__ . "/sabir/$name.php";
}
