<?php

declare(strict_types=1);

namespace TesteeImport;

// The next line fails when the file is loaded.
require 'sabir_no_such_file.php';

function never_there(): int
{
    return 1;
}
