import { expect, test } from 'vitest'
import { DefinitionError, IntegrityError, RecordError, UnavailableError } from '../errors.js'
import { exitCodeOf, lineOf, Stopped, Told, UsageError } from './failure.js'

test('gives each kind of failure its exit code', () => {
  const refused = new DefinitionError('BAD_CREDENTIALS', 'a', 'b')
  expect(exitCodeOf(new UsageError('a', 'b'))).toBe(2)
  expect(exitCodeOf(refused)).toBe(3)
  expect(exitCodeOf(new UnavailableError('NO_SERVER', 'a', 'b'))).toBe(3)
  expect(exitCodeOf(new IntegrityError('OVERRUN', 'a', 'b'))).toBe(4)
  expect(exitCodeOf(new UnavailableError('TIMED_OUT', 'a', 'b'))).toBe(5)
  expect(exitCodeOf(new DefinitionError('BAD_DATA_FOLDER', 'a', 'b'))).toBe(78)
  expect(exitCodeOf(new RecordError('BAD_BYTES', 'a', 'b'))).toBe(1)
  expect(exitCodeOf(new Stopped('line 3', refused, 'nothing was published'))).toBe(3)
  expect(exitCodeOf(new Told(1))).toBe(1)
  expect(exitCodeOf('thrown')).toBe(1)
})

test('says it in one line: what happened, the mend, how far it came, the code', () => {
  expect(lineOf(new DefinitionError('BAD_KEY', 'no key\n in it', 'give one'))).toBe('no key in it; give one [BAD_KEY]')
  const stopped = new Stopped(
    'line 3',
    new RecordError('BAD_BYTES', 'no JSON', 'mend it'),
    '2 records before it are published',
  )
  expect(lineOf(stopped)).toBe('line 3: no JSON; mend it; 2 records before it are published [BAD_BYTES]')
  expect(lineOf(new Told(1))).toBe('')
})

test('shows where an unforeseen failure comes from, without the secrets in it', () => {
  const line = lineOf(new Error('cannot reach nats://ann:planted@h:1'))
  expect(line).toContain('this is a bug in stream-node')
  expect(line).toContain('failure.test.ts')
  expect(line).not.toContain('planted')
})

test('shows what code of the user threw within an error of ours without its secrets', () => {
  const error = new RecordError('STEP_FAILED', 'step 1 threw: no answer from nats://ann:planted@db:4222', 'mend it')
  expect(lineOf(error)).toBe('step 1 threw: no answer from nats://***@db:4222; mend it [STEP_FAILED]')
})
