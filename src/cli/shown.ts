/** What records hold, as stdout gets it. */

/** What JSON has no form for: bytes become base64, large whole numbers text. */
export function plain(this: unknown, name: string, given: unknown): unknown {
  // A Buffer has turned itself into something else by the time it is given.
  const value = (this as Record<string, unknown>)[name]
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  return typeof given === 'bigint' ? String(given) : given
}

// eslint-disable-next-line no-control-regex -- these are what a terminal would act upon
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

/** Control characters written out: a record must not be able to drive the terminal of whoever looks at it. */
export function visible(text: string): string {
  return text.replace(CONTROL, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
