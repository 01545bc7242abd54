<?php

declare(strict_types=1);

// An assistant that finds times to meet. Talk to it: sabir chat secretary "When am I free on 2026-05-04?"

namespace Assistants\Secretary;

const INSTRUCTIONS = <<<'TEXT'
    You help people who look for a time to meet. Call calendar.first_free with the day and what is taken. Answer in one short sentence.
    TEXT;

const FUNCTIONS = ['calendar.first_free'];

const MAX_STEPS = 4;
