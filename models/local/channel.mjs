// The worker protocol's frames on one duplex stream: a pure reader, and a thin channel around it.
// A head line of decimal lengths, one JSON text, then the blobs.

export const kMaxFrameBytes = 64 * 1024 * 1024;
const kMaxBlobs = 1024;
const kMaxHeadBytes = 16384;

export class ProtocolError extends Error {}

export class FrameReader {
  #pending = Buffer.alloc(0);
  #chunks = [];
  #chunkBytes = 0;
  #lengths = null;

  // Adds bytes in any fragmentation and returns the frames that are complete, as {json, blobs}.
  // Throws ProtocolError on a malformed head; the reader is unusable from then on.
  push(bytes) {
    this.#chunks.push(bytes);
    this.#chunkBytes += bytes.length;
    const frames = [];
    for (;;) {
      const needed = this.#lengths ? this.#lengths.reduce((a, b) => a + b, 0) : 1;
      if (this.#pending.length + this.#chunkBytes < needed) break;
      this.#gather();
      if (!this.#lengths) {
        const end = this.#pending.indexOf(0x0a);
        if (end < 0 || end > kMaxHeadBytes) {
          if (this.#pending.length > kMaxHeadBytes) throw new ProtocolError('frame head is too long');
          break;
        }
        this.#lengths = parseHead(this.#pending.toString('latin1', 0, end));
        this.#pending = this.#pending.subarray(end + 1);
        continue;
      }
      const parts = [];
      for (const length of this.#lengths) {
        parts.push(this.#pending.subarray(0, length));
        this.#pending = this.#pending.subarray(length);
      }
      this.#lengths = null;
      frames.push({json: parts[0], blobs: parts.slice(1)});
    }
    return frames;
  }

  #gather() {
    if (this.#chunks.length === 0) return;
    this.#pending = Buffer.concat([this.#pending, ...this.#chunks]);
    this.#chunks = [];
    this.#chunkBytes = 0;
  }
}

function parseHead(head) {
  if (!/^(0|[1-9][0-9]{0,8})( (0|[1-9][0-9]{0,8}))*$/.test(head)) throw new ProtocolError('malformed frame head');
  const lengths = head.split(' ').map(Number);
  if (lengths.length - 1 > kMaxBlobs) throw new ProtocolError('too many blobs');
  if (lengths.reduce((a, b) => a + b, 0) > kMaxFrameBytes) throw new ProtocolError('frame is too large');
  return lengths;
}

// Puts the frame's blobs where `carrier.blobs` says, in place.
export function placeBlobs(carrier, blobs) {
  const list = carrier?.blobs ?? [];
  if (!Array.isArray(list) || list.length !== blobs.length) throw new Error('blob count differs from the frame');
  list.forEach(({at, type}, i) => {
    const keys = String(at).split('/').slice(1).map((k) => k.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop();
    const parent = keys.reduce((node, key) => node?.[key], carrier);
    if (last === undefined || parent === null || typeof parent !== 'object' || parent[last] !== null) {
      throw new Error(`blob pointer "${at}" does not name a null`);
    }
    parent[last] = type === 'bytes' ? blobs[i].toString('base64') : blobs[i].toString('utf8');
  });
}

export function encodeFrame(message) {
  const json = Buffer.from(JSON.stringify(message), 'utf8');
  return Buffer.concat([Buffer.from(`${json.length}\n`, 'latin1'), json]);
}
