import { filter, map, tap } from 'rxjs'
import { expect, test } from 'vitest'
import { scan } from '../../operators/scan.js'
import { RetryableError } from '../../errors.js'
import { pipeline } from '../../pipeline/pipeline.js'
import { sink } from '../../stream/sink.js'
import { stream } from '../../stream/stream.js'
import { thrownBy } from '../contracts/steps.js'
import { simulate } from './simulate.js'

interface Payment {
  readonly from: string
  readonly cents: number
}

const payments = stream<Payment>('payments', { key: 'from', partitions: 2 })
const input = (push: (to: typeof payments, ...values: Payment[]) => void) => {
  for (let i = 0; i < 40; i++) push(payments, { from: `u${i % 5}`, cents: i })
}

test('finds nothing in a pipeline that keeps its memory in tables', { timeout: 60_000 }, async () => {
  const totals = stream<number>('totals', { partitions: 3 })
  const sums = pipeline('sums')
    .from(payments)
    .pipe(
      filter(payment => payment.cents % 3 > 0),
      scan((sum, payment) => sum + payment.cents, 0),
    )
    .to(totals)
  const { seeds, claims, faults } = await simulate(sums, { input, seeds: 15 })
  expect(seeds).toBe(15)
  expect(claims).toBeGreaterThan(100)
  expect(Object.keys(faults).length).toBeGreaterThan(6)
})

test('runs pipelines with two targets, in batches too', { timeout: 60_000 }, async () => {
  const [small, large] = [
    stream<Payment>('small', { key: 'from' }),
    stream<Payment>('large', { key: 'from', format: 'batch' }),
  ]
  const split = pipeline('split').from(payments)
  await simulate(
    split.to(payment => (payment.cents < 20 ? small : large)),
    { input, seeds: 8 },
  )
})

test('lets others stand for the far sides of sinks, also of those that a function chooses', async () => {
  const writes = { write: () => expect.unreachable('nothing leaves a simulation') }
  const [table, large] = [sink<number>('table', writes), sink<Payment>('large', { ...writes, batch: { records: 2 } })]
  const sums = pipeline('sums')
    .from(payments)
    .pipe(scan((sum, payment) => sum + payment.cents, 0))
    .to(table)
  await simulate(sums, { input, seeds: 6 })
  const small = stream<Payment>('small', { key: 'from' })
  const split = pipeline('split').from(payments)
  const choose = (payment: Payment) => (payment.cents < 20 ? [small] : large)
  await simulate(split.to(choose, { sinks: [large] }), { input, seeds: 6 })
}, 60_000)

test('finds in sinks what is not the same in each run', { timeout: 60_000 }, async () => {
  let drawn = 0
  const table = sink<number>('table', { write: () => {} })
  const drawing = pipeline('drawing')
    .from(payments)
    .pipe(map(() => drawn++))
    .to(table)
  const thrown = await thrownBy(simulate(drawing, { input, seeds: 1 }))
  expect((thrown as Error).message).toMatch(/^simulation, seed 1: sink "table", partition 0\.\d: output 1 is { key: /)
})

test(
  'lets records that cannot be processed go to the dead letters, the same in each run',
  { timeout: 60_000 },
  async () => {
    let busy = 0
    const strict = pipeline('strict', { onError: { retry: { attempts: 100, backoff: 10 } } })
      .from(payments)
      .pipe(
        scan((state, { cents }) => ({ cents, sum: state.sum + cents }), { cents: 0, sum: 0 }),
        map(({ cents, sum }) => {
          if (cents % 7 === 3) throw new TypeError(`no ${cents}`)
          if (cents === 20 && ++busy % 4 !== 0) throw new RetryableError('busy')
          return sum
        }),
      )
    const { claims } = await simulate(strict.to(strict.as('sums', { partitions: 2 })), { input, seeds: 8 })
    expect(claims).toBeGreaterThan(50)
  },
)

test('tells of a dead letter that came only under faults', { timeout: 60_000 }, async () => {
  let calls = 0
  const failing = pipeline('failing')
    .from(payments)
    .pipe(
      tap(({ cents }) => {
        if (cents === 20 && ++calls > 1) throw new TypeError('the second time')
      }),
    )
  const thrown = await thrownBy(simulate(failing.to(failing.as('same', { key: 'from' })), { input, seeds: 1 }))
  expect((thrown as Error).message).toMatch(/^simulation, seed 1: stream "(same|failing-dead-letters)", partitions 0/)
})

test('finds memory that is in no table, and names the seed', { timeout: 60_000 }, async () => {
  let count = 0
  const counted = pipeline('counted')
    .from(payments)
    .pipe(map(payment => ({ ...payment, count: ++count })))
  const thrown = await thrownBy(
    simulate(counted.to(counted.as('counts', { key: 'from' })), { input, seeds: 5, seed: 7 }),
  )
  expect((thrown as Error).message).toMatch(/^simulation, seed 7: .*run it again with \{ seed: 7, seeds: 1 \}$/)
})

test('refuses input to a stream that is no source, and no input', async () => {
  const same = pipeline('same').from(payments)
  const out = same.to(same.as('out', { key: 'from' }))
  const wrong = simulate(out, { input: push => push(stream<number>('others'), 1) })
  expect(await thrownBy(wrong)).toMatchObject({ code: 'BAD_OPTION' })
  expect(await thrownBy(simulate(out, { input: () => {} }))).toMatchObject({ code: 'BAD_OPTION' })
})
