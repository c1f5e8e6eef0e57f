import { expect, test } from 'vitest'
import fc from 'fast-check'
import { jsonOf, linesOf, type Line } from './lines.js'

async function* chunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] ?? bytes.length)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function read(text: string | Buffer, sizes: readonly number[] = []): Promise<[number, string][]> {
  const lines: Line[] = []
  for await (const some of linesOf(chunks(Buffer.from(text), sizes))) lines.push(...some)
  return lines.map(({ number, bytes }) => [number, bytes.toString()])
}

test('gives the lines with their numbers, without blank ones, ends of lines and a byte order mark', async () => {
  expect(await read('a\n\n \t\r\nb\r\nc')).toEqual([
    [1, 'a'],
    [4, 'b'],
    [5, 'c'],
  ])
  expect(await read('\uFEFFa\n\uFEFFb\n')).toEqual([
    [1, 'a'],
    [2, '\uFEFFb'],
  ])
  expect(await read('')).toEqual([])
})

test('gives raw lines as they are: blank ones, carriage returns and a byte order mark too', async () => {
  const lines: Line[] = []
  const given = Buffer.from('\uFEFFa\r\n\n \nb')
  for await (const some of linesOf(chunks(given, [2]), true)) lines.push(...some)
  expect(lines.map(({ bytes }) => bytes.toString())).toEqual(['\uFEFFa\r', '', ' ', 'b'])
})

test('gives the same lines however the bytes are cut', async () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 12 }).map(text => text.replaceAll(/[\r\n\uFEFF]/g, ''))
  await fc.assert(
    fc.asyncProperty(
      fc.array(line),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (lines, sizes) => {
        const expected = lines.map((text, i) => [i + 1, text] as const).filter(([, text]) => !/^[ \t]*$/.test(text))
        expect(await read(lines.join('\n'), sizes)).toEqual(expected)
      },
    ),
  )
})

test('refuses a line that no record can be, before the memory is full', async () => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('a\n')
    const some = Buffer.alloc(1024 * 1024, 'x')
    for (let i = 0; i < 100; i++) yield some
    expect.fail('it read on')
  }
  const all = async () => {
    for await (const lines of linesOf(endless())) expect(lines[0]?.number).toBe(1)
  }
  await expect(all()).rejects.toMatchObject({ number: 2, message: expect.stringContaining('64 MB') })
})

test('says what is no JSON, and shows how it begins', () => {
  expect(jsonOf(Buffer.from(' {"a":1} '))).toEqual({ a: 1 })
  expect(() => jsonOf(Buffer.from('hello'))).toThrow('it is not JSON: "hello"')
  expect(() => jsonOf(Buffer.from(`"${'x'.repeat(100)}`))).toThrow(/^it is not JSON: .{43}$/)
  expect(() => jsonOf(Buffer.from([0x22, 0xff, 0x22]))).toThrow('it is not UTF-8 text')
})
