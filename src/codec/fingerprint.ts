/** CRC-64-AVRO, the fingerprint by which Avro names a schema in its canonical form. */

/** The polynomial, and the fingerprint of nothing. */
const EMPTY = 0xc15d213aa4d7a795n

const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let value = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ (value & 1n ? EMPTY : 0n)
  return value
})

/** The fingerprint of a text, as 16 hex digits. On the wire it stands as 8 bytes, the last digits first. */
export function fingerprintOf(canonical: string): string {
  let crc = EMPTY
  for (const byte of Buffer.from(canonical)) crc = (crc >> 8n) ^ (TABLE[Number((crc ^ BigInt(byte)) & 0xffn)] as bigint)
  return crc.toString(16).padStart(16, '0')
}
