import { filter, map, of, pipe as compose, scan, take, withLatestFrom } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { DefinitionError } from '../errors.js'
import { operator } from '../operators/operator.js'
import { sink } from '../stream/sink.js'
import { stream } from '../stream/stream.js'
import { describePipeline, mermaidOf, textOf } from './describe.js'
import { isPipeline, partsOf, pipeline, type PipelineStart } from './pipeline.js'
import { plan } from './plan.js'

const clicks = stream<{ user: string; bot: boolean }>('clicks', { key: 'user', partitions: 3 })
const views = stream<{ user: string }>('views', { partitions: 3 })
const out = stream('out')
const rows = sink('rows', { write: () => {} })
const counted = operator<unknown, number>({
  name: 'counted',
  asks: ['key'],
  keeps: 'rows',
  start: (_, next) => () => next(1),
})

/** Programs in JavaScript may be written like this. */
interface Loose {
  from(...sources: unknown[]): Loose
  pipe(...steps: unknown[]): Loose
  to(target?: unknown, options?: unknown): unknown
}
const loose = (name = 'p') => pipeline(name) as PipelineStart & Loose as unknown as Loose

function faultOf(run: () => unknown): DefinitionError {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof DefinitionError) return thrown
    throw thrown
  }
  throw new Error('nothing was refused')
}

describe('a definition', () => {
  test('is a frozen value, and so is each part of it that can be piped on', () => {
    const bare = pipeline('p').from(clicks)
    const flow = bare.pipe(filter(click => !click.bot))
    const whole = flow.to(out)
    for (const value of [pipeline('p'), bare, flow, whole, partsOf(whole), partsOf(whole).steps, plan(whole)[0]]) {
      expect(Object.isFrozen(value)).toBe(true)
    }
    expect(plan(bare.to(out))[0]?.steps).toHaveLength(0)
    expect(plan(flow.pipe(counted).to(out))[0]?.steps).toHaveLength(2)
    expect(plan(whole.pipe(counted).to(out))[0]?.names).toEqual(['filter', 'counted'])
  })

  test('says what it is', () => {
    const whole = pipeline('p').from(clicks).to(out)
    expect(whole).toMatchObject({ kind: 'pipeline', name: 'p' })
    expect(isPipeline(whole)).toBe(true)
    expect(isPipeline(pipeline('p').from(clicks))).toBe(false)
    expect(() => partsOf(pipeline('p').from(clicks))).toThrow(
      "must be a value that pipeline('name').from(...).to(...) made",
    )
  })

  test('gives the stream that takes what flows', () => {
    const flow = pipeline('p').from(clicks)
    expect(flow.as('flowed', { key: 'user', partitions: 2 })).toMatchObject({ name: 'flowed', partitions: 2 })
  })

  test('becomes one stage, with its targets or the function that chooses them', () => {
    const choose = () => out
    expect(plan(pipeline('p').from(clicks, views).pipe(counted).to(out))).toEqual([
      expect.objectContaining({
        pipeline: 'p',
        index: 0,
        sources: [clicks, views],
        partitions: 3,
        steps: [counted],
        targets: [out],
        choose: undefined,
      }),
    ])
    expect(plan(pipeline('p').from(clicks).to(choose))[0]).toMatchObject({ targets: [], sinks: [], choose })
  })

  test('knows all its sinks, also those that only a function chooses', () => {
    const flow = pipeline('p').from(clicks)
    expect(plan(flow.to(rows))[0]).toMatchObject({ targets: [], sinks: [rows], choose: undefined })
    expect(plan(flow.to(out))[0]).toMatchObject({ targets: [out], sinks: [] })
    const choose = () => [out, rows]
    expect(plan(flow.to(choose, { sinks: [rows] }))[0]).toMatchObject({ targets: [], sinks: [rows], choose })
  })
})

describe('refuses at once, with the mend', () => {
  test('options that nobody reads', () => {
    const toSink = () =>
      pipeline('p')
        .from(clicks)
        .to(() => rows, { sink: [rows] } as never)
    expect(toSink).toThrow('unknown option "sink" of to(...) of pipeline "p"; did you mean "sinks"?')
    expect(() => pipeline('p', { retries: 3 } as never)).toThrow(
      'unknown option "retries" of pipeline "p"; it takes onError, supervise',
    )
    expect(() => pipeline(undefined as never)).toThrow('the name of a pipeline must be a text')
  })

  const others = stream('others', { source: { stream: 'ORDERS' } })
  test.each<[string, (start: Loose) => unknown, string]>([
    ['no source', p => p.from().to(out), 'it has no source; give from(...) a stream'],
    [
      'a name as source',
      p => p.from('clicks').to(out),
      'source 1 is the text "clicks", which is no stream; give stream("clicks")',
    ],
    ['a promise as source', p => p.from(Promise.resolve(clicks)).to(out), 'source 1 is a promise, which is no stream'],
    ['an Observable as source', p => p.from(of(1)).to(out), 'source 1 is an Observable, which is no stream'],
    [
      'a pipeline as source',
      p => p.from(pipeline('q').from(clicks).to(out)).to(out),
      "source 1 is a pipeline, which is no stream; give the stream that it is written to, as flow.as('name')",
    ],
    ['a source twice', p => p.from(clicks, views, clicks).to(out), 'it reads stream "clicks" twice; name it once'],
    [
      'sources that do not match',
      p => p.from(clicks, stream('wide', { partitions: 8 })).to(out),
      'stream "clicks" has 3 partitions but "wide" has 8, so they cannot be read together; give both the same count',
    ],
    ['no target', p => p.from(clicks).to(), 'its target is undefined, which is no stream'],
    [
      'a name as target',
      p => p.from(clicks).to('out'),
      'its target is the text "out", which is no stream; give stream("out")',
    ],
    ['a loop', p => p.from(clicks).to(clicks), 'it writes to its own source "clicks", and would never end'],
    [
      'a sink as source',
      p => p.from(rows).to(out),
      "source 1 is a sink, which is no stream; give a stream, as stream('clicks')",
    ],
    [
      'sinks beside a target',
      p => p.from(clicks).to(out, { sinks: [rows] }),
      'it names sinks beside a target; name those that a function chooses, as to(value => ..., { sinks: [...] })',
    ],
    [
      'sinks that are none',
      p => p.from(clicks).to(() => out, { sinks: [out] }),
      "its sinks have an object, which is no sink; give sinks, as sink('rows', { write })",
    ],
    [
      'a sink alone where many may be named',
      p => p.from(clicks).to(() => out, { sinks: 'rows' }),
      'its sinks have the text "rows", which is no sink',
    ],
    [
      'two sinks of one name',
      p => p.from(clicks).to(() => rows, { sinks: [rows, sink('rows', { write: () => {} })] }),
      'its sinks have two of the name "rows"; name it once',
    ],
    [
      'its own dead letters as source',
      p => p.from(stream('p-dead-letters', { partitions: 3 })).to(out),
      'it reads its own dead letters; read them by a pipeline of another name',
    ],
    [
      'its own dead letters as target',
      p => p.from(clicks).to(stream('p-dead-letters', { partitions: 3 })),
      'it writes to the stream of its own dead letters; write to another stream',
    ],
    [
      'no step',
      p => p.from(clicks).pipe(undefined).to(out),
      'step 1 is undefined, which is no operator; give operators',
    ],
    [
      'an Observable as step',
      p => p.from(clicks).pipe(counted, of(1)).to(out),
      'step 2 is an Observable, which is no operator',
    ],
    [
      'an operator that was not called',
      p => p.from(clicks).pipe(withLatestFrom).to(out),
      'step 1 is the function withLatestFrom itself, and no operator; call it: withLatestFrom(...)',
    ],
    [
      'a step of ours within one of RxJS',
      p =>
        p
          .from(clicks)
          .pipe(compose(counted, map(String)))
          .to(out),
      'step 1 has a step of stream-node inside: counted() of stream-node was applied to an Observable of RxJS; give it to the pipe of a pipeline itself, as a step of its own',
    ],
    [
      'a function of values as step',
      p =>
        p
          .from(clicks)
          .pipe((click: { user: { length: number } }) => click.user.length)
          .to(out),
      'step 1 is a function that throws "Cannot read properties of undefined (reading \'length\')" instead of making an Observable; put',
    ],
    [
      'the scan of RxJS',
      p =>
        p
          .from(clicks)
          .pipe(
            map(String),
            scan((n: number) => n + 1, 0),
          )
          .to(out),
      'step 2 is scan of RxJS, which remembers values in no ledger, so they would be gone after a crash; use scan of stream-node',
    ],
    [
      'a step that ends the flow',
      p => p.from(clicks).pipe(take(1)).to(out),
      'step 1 is take of RxJS, which ends the flow',
    ],
  ])('%s', (_, define, message) => {
    const error = faultOf(() => define(loose()))
    expect(error.code).toBe('BAD_PIPELINE')
    expect(error.message).toContain(`pipeline "p": ${message}`)
  })

  test('a stream of others as target', () => {
    const error = faultOf(() => pipeline('p').from(clicks).to(others))
    expect(error.code).toBe('READ_ONLY_STREAM')
    expect(error.message).toContain('its target "others" reads a stream that others write, and is never written')
  })

  test('a name that the log cannot carry, with one that it can', () => {
    const error = faultOf(() => pipeline('my pipe').from(clicks).to(out))
    expect(error.code).toBe('BAD_NAME')
    expect(error.message).toContain('like "my-pipe"')
    const long = faultOf(() => pipeline('p'.repeat(181)).from(clicks).to(out))
    expect(long.message).toContain('has 181 letters, and NATS takes 180 at the most')
    const longest = pipeline('p'.repeat(180)).from(clicks).to(out)
    expect(longest.deadLetters).toMatchObject({ name: `${'p'.repeat(180)}-dead-letters`, partitions: 3 })
  })

  test('all that is wrong, in one error', () => {
    const error = faultOf(() => loose('my pipe').from('clicks').pipe(take(1), null).to())
    expect(error.code).toBe('BAD_PIPELINE')
    expect(error.message).toContain('pipeline "my pipe" has 5 faults:')
    expect(error.message.split('\n')).toHaveLength(6)
  })
})

test('warns where rxjs is bundled, instead of refusing or trusting it', () => {
  const bundled = (source: { lift(subscribe: () => void): unknown }) => source.lift(() => {})
  const whole = loose().from(clicks).pipe(counted, bundled).to(out)
  expect(partsOf(whole).warnings).toEqual([
    {
      what: 'pipeline "p": step 2 is of RxJS, but it cannot be read which operators, for rxjs is bundled',
      mend: 'see that none remembers or waits',
    },
  ])
  expect(partsOf(pipeline('p').from(clicks).pipe(filter(Boolean)).to(out)).warnings).toEqual([])
})

describe('is described', () => {
  const description = describePipeline(pipeline('p').from(clicks, views).pipe(filter(Boolean), counted).to(out))

  test('as plain JSON', () => {
    expect(JSON.parse(JSON.stringify(description))).toEqual({
      pipeline: 'p',
      stages: [
        {
          sources: [
            { stream: 'clicks', partitions: 3 },
            { stream: 'views', partitions: 3 },
          ],
          steps: [
            { name: 'filter', of: 'rxjs' },
            { name: 'counted', of: 'stream-node' },
          ],
          targets: [{ stream: 'out', partitions: 6 }],
          chooses: false,
        },
      ],
    })
  })

  test('as text', () => {
    expect(textOf(description)).toBe(
      [
        'pipeline p',
        '  from clicks (3 partitions)',
        '  from views (3 partitions)',
        '    1. filter',
        '    2. counted, with memory in tables',
        '  to out (6 partitions)',
        '',
      ].join('\n'),
    )
  })

  test('with its sinks', () => {
    const toSink = describePipeline(pipeline('q').from(clicks).to(rows))
    expect(toSink.stages[0]).toMatchObject({ targets: [{ sink: 'rows' }], chooses: false })
    expect(textOf(toSink)).toBe('pipeline q\n  from clicks (3 partitions)\n  to sink rows\n')
    const lines = mermaidOf([toSink]).split('\n')
    expect(lines).toContain('  sink_rows[/"rows"/]')
    expect(lines).toContain('  pipeline_q --> sink_rows')
    const chooses = describePipeline(
      pipeline('q')
        .from(clicks)
        .to(() => rows, { sinks: [rows] }),
    )
    expect(chooses.stages[0]).toMatchObject({ targets: [{ sink: 'rows' }], chooses: true })
    const text = 'pipeline q\n  from clicks (3 partitions)\n  to sink rows\n  to the streams that a function chooses\n'
    expect(textOf(chooses)).toBe(text)
  })

  test('as Mermaid, where pipelines meet at the streams they share', () => {
    const next = describePipeline(
      pipeline('end')
        .from(out)
        .to(() => undefined),
    )
    const lines = mermaidOf([description, next]).split('\n')
    expect(lines[0]).toBe('flowchart LR')
    expect(lines.filter(line => line.includes('stream_out[('))).toHaveLength(1)
    expect(lines).toContain('  pipeline_p --> stream_out')
    expect(lines).toContain('  stream_out --> pipeline_end')
    expect(lines).toContain('  pipeline_p["p<br>filter<br>counted"]')
    expect(lines).toContain('  pipeline_end -. chooses .-> pipeline_end_targets["streams"]')
  })
})
