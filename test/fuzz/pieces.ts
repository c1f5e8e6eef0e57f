/** What breaks decoders: lengths that lie in each encoding, texts that touch what every object has, bytes that are no text. */
import { hex, text } from './target.js'

/** Of a format that counts in LEB128: 0, 1, 2^31 - 1, 2^31, 2^53 - 1, 2^53, 2^63, one that never ends. */
export const VARINTS = [
  ...['00', '01', '7f', 'ff01', 'ffffffff07', '8080808008', 'ffffffffffffff0f', '8080808080808010'],
  ...['80808080808080808001', 'ffffffffffffffffff01', 'ffffffffffffffffffffff', '80'.repeat(145) + '00'],
].map(hex)

/** Of Avro, zigzag: -1, 0, 2^31 - 1, 2^53, 2^63 - 1, -2^63, one that never ends and one of 146 bytes. */
export const ZIGZAGS = [
  ...['01', '00', 'feffffff0f', '8080808080808020', 'feffffffffffffffff01', 'ffffffffffffffffff01'],
  ...['ffffffffffffffffffff', '80'.repeat(145) + '00'],
].map(hex)

/** Of formats with numbers of a fixed size, small end first: -1, 0, 2^31 - 1, 2^53, 2^63, NaN, Infinity, -0. */
export const NUMBERS = [
  ...['ffffffff', '00000000', 'ffffff7f', '0000000000002000', '0000000000000080', 'ffff', '0000'],
  ...['000000000000f87f', '000000000000f07f', '0000000000000080', '000000000000f0ff', '0000000000004043'],
].map(hex)

/** Bytes that are no UTF-8, or a text that is seldom one: cut, too long, a surrogate, beyond the last, NUL, a mark. */
export const NO_TEXT = ['ff', 'c3', 'c080', 'eda080', 'f5808080', '00', 'efbbbf', 'e2808f', 'efbfbd'].map(hex)

/** For JSON. */
export const JSON_PIECES = [
  ...[
    '{"__proto__":{"polluted":1}}',
    '"__proto__":{"polluted":1},',
    '"\\u005f_proto__":1,',
    '"constructor":{"prototype":1},',
  ],
  ...[
    '"toString":1,',
    '"then":1,',
    '"length":-1,',
    '[[[[',
    '}}',
    '1e999',
    '-1',
    '-0',
    '0',
    '9007199254740993',
    '2147483647',
  ],
  ...['18446744073709551616', '\\ud800', '\\u0000', 'NaN', 'null', 'true', '{}', '[]', '""', '"', '\\', '\ufeff'],
].map(text)

/** For header blocks. */
export const HEADER_PIECES = [
  ...['\r\n', '\r', '\n', ':', ' ', '\r\n\r\n', 'NATS/1.0', '%', '%ff', '%E0%A4%A', '%00', '__proto__: x\r\n'],
  ...['Sn-Key: %\r\n', 'Sn-Time: 1e3\r\n', 'Sn-Time: 99999999999999999999\r\n', 'Sn-Out: 2 0 00000000\r\n'],
  ...['Sn-Out: 1 9007199254740993 00000000\r\n', 'Nats-Msg-Id: p/i/0.0>0/0\r\n', 'toString: 1\r\n', '\r\nSn-Out:'],
].map(text)

const MILLION = 1_000_000

/** JSON that is deep or wide, whole and cut. */
export const JSON_BOMBS = [
  ...[100_000, MILLION].map(levels => '['.repeat(levels)),
  ...[50_000, MILLION / 2].map(levels => '['.repeat(levels) + ']'.repeat(levels)),
  '{"a":'.repeat(MILLION / 5) + '1' + '}'.repeat(MILLION / 5),
  '['.repeat(8000) + ']'.repeat(8000),
  `{"version":1,"x":${'['.repeat(8000)}${']'.repeat(8000)}}`,
  `"${'['.repeat(100_000)}"`,
  `"${'\\u0000'.repeat(10_000)}"`,
  '1'.repeat(100_000),
  '"'.repeat(100_001),
].map(text)
