/**
 * Key to partition: FNV-1a, 32 bit, of the key's UTF-8 text, modulo the count. It is what the `partition()` subject
 * mapping of a NATS server computes, and it never changes: another answer would tear every key's order apart.
 */
const OFFSET = 0x811c9dc5
const PRIME = 0x01000193

/** The partition of a key, 0 to `partitions - 1`. */
export function partitionOf(key: string, partitions: number): number {
  return fnv1a(key) % partitions
}

/** FNV-1a, 32 bit, of the text's UTF-8 bytes, as an unsigned number. */
export function fnv1a(text: string): number {
  let hash = OFFSET
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) return fnv1aOfBytes(Buffer.from(text.slice(i)), hash)
    hash = Math.imul(hash ^ unit, PRIME)
  }
  return hash >>> 0
}

function fnv1aOfBytes(bytes: Uint8Array, start: number): number {
  let hash = start
  for (const byte of bytes) hash = Math.imul(hash ^ byte, PRIME)
  return hash >>> 0
}
