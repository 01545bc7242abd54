// The best loop one would write by hand in JavaScript: decode, call, encode, one write per read. It knows two functions,
// takes no blobs and checks nothing.
import net from "node:net";

const functions = {add: ({a, b}) => a + b, echo: ({text}) => text};
const socket = new net.Socket({fd: Number(process.env.SABIR_FD)});
let rest = Buffer.alloc(0);
socket.on("data", (data) => {
  const input = rest.length === 0 ? data : Buffer.concat([rest, data]);
  let start = 0;
  let out = "";
  for (;;) {
    const cut = input.indexOf(10, start);
    if (cut < 0) break;
    const stop = cut + 1 + Number(input.latin1Slice(start, cut));
    if (stop > input.length) break;
    const message = JSON.parse(input.utf8Slice(cut + 1, stop));
    start = stop;
    const result = message.method === "call" ? {value: functions[message.params.function](message.params.arguments)} : {};
    const body = JSON.stringify({jsonrpc: "2.0", id: message.id, result});
    out += `${Buffer.byteLength(body)}\n${body}`;
  }
  rest = input.subarray(start);
  if (out !== "") socket.write(out);
});
socket.on("end", () => process.exit(0));
