# @arg a {b: map<'x'|string(1..2)[]>?, c?: (integer|null)[]}={"b": {}} text
# @opt --b! number(..3.5)=2
# @stdin c bytes
# @stream 'a'|"b"
function f [[ $1 ]]
functions=(a.b "c d" $'e\n') n=3
