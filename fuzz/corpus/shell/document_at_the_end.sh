# @arg a {b: map<'x'|strx=$(case $1 in a) f() { :; };; esac
`"${a:-'}"` <<