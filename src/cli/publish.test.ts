import { closeSync, openSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { checkInput } from './publish.js'

test.skipIf(process.platform === 'win32')('refuses a folder as its input, and takes a file', () => {
  const folder = openSync(tmpdir(), 'r')
  const file = openSync(fileURLToPath(import.meta.url), 'r')
  try {
    expect(() => checkInput(folder)).toThrow('stdin is a folder; give it a file, as in "publish < file"')
    expect(() => checkInput(file)).not.toThrow()
  } finally {
    closeSync(folder)
    closeSync(file)
  }
})
