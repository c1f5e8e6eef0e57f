/** A hash for sketches: the same on every machine for ever, since sketches are stored. Not for keys or partitions. */

/** 64 well mixed bits of a text or number, as two whole numbers of 32 bits. `1` and `'1'` differ. */
export function hash64(value: string | number): readonly [high: number, low: number] {
  const text = String(value)
  let high = typeof value === 'number' ? 0x9e3779b9 : 0xdeadbeef
  let low = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    high = Math.imul(high ^ unit, 0x9e3779b1)
    low = Math.imul(low ^ unit, 0x5f356495)
    high = (high << 13) | (high >>> 19)
  }
  high = mixed(high ^ text.length ^ mixed(low))
  low = mixed(low ^ high)
  return [high >>> 0, low >>> 0]
}

/** The end of Murmur 3: each bit of the input moves about half of those of the output. */
function mixed(given: number): number {
  let bits = given
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}
