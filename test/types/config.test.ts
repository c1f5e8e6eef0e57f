/** What TypeScript makes of config files that users write. A wrong one that compiles fails at its `@ts-expect-error`. */
import { expect, expectTypeOf, test } from 'vitest'
import { defineConfig, type StreamNodeConfig } from 'stream-node'

test('a config takes the options of the command, absent ones too, and is given back as it is', () => {
  const config = { servers: ['a', 'b'], token: process.env['NO_SUCH_TOKEN'], timeout: '5 seconds' } as const
  expect(defineConfig(config)).toBe(config)
  expectTypeOf(defineConfig({})).toEqualTypeOf<StreamNodeConfig>()
})

test('a config with a wrong option does not compile', () => {
  // @ts-expect-error no such option
  defineConfig({ server: 'a' })
  // @ts-expect-error a password is a text
  defineConfig({ password: 7 })
  // @ts-expect-error no duration
  defineConfig({ timeout: 'soon' })
  // @ts-expect-error no such format
  defineConfig({ output: 'xml' })
})
