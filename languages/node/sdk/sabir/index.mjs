// The same SDK for `import`; its state is index.cjs's, which `require` gives.
import sabir from "./index.cjs";

export const {Context, SabirError, ask, call, close, complete, functions, log, memory, progress, render, secret, signal, stream, version} = sabir;
export default sabir;
