<?php

function broken( {
}
