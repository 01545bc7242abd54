x=$(case $1 in a) f() { :; };; esac
`"${a:-'}"` <<-"E$F"
	text
	E$F
[[ ( $a =~ ^(x|y)$ ]] && ((1+(2)
f()(: