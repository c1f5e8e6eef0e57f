/**
 * Key to partition: FNV-1a, 32 bit, of the key's UTF-8 text, modulo the count. It is what the `partition()` subject
 * mapping of a NATS server computes, and it never changes: another answer would tear every key's order apart.
 */
import { badOption } from '../options.js'

const OFFSET = 0x811c9dc5
const PRIME = 0x01000193

/** The partition of a key, 0 to `partitions - 1`. Throws `BAD_OPTION` for what is no text, or no count from 1 on. */
export function partitionOf(key: string, partitions: number): number {
  if (typeof key !== 'string') throw badOption('the key', 'a text', key)
  if (!Number.isSafeInteger(partitions) || partitions < 1) {
    throw badOption('the count of partitions', 'a whole number from 1 on', partitions)
  }
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
