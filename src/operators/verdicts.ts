/**
 * Which operators of RxJS a pipeline takes, and what to use for the others: one row for each operator of RxJS 7.8. What
 * an operator of RxJS remembers or waits for is in no ledger, so it would be gone after a crash without a word.
 */

/** What becomes of an operator of RxJS in a pipeline. */
export interface Verdict {
  /** `twin`: ours of the same name keeps its memory in tables. */
  readonly verdict: 'as is' | 'twin' | 'refused'
  /** Why it is not taken as it is, to follow "which". */
  readonly why?: string
  /** What to use instead. */
  readonly mend?: string
}

const REMEMBERS = 'remembers values in no ledger, so they would be gone after a crash'
const WAITS = 'waits for time to pass, with values in no ledger'
const ENDS = 'waits for the end of the flow, which never comes'
const CUTS = 'ends the flow, so that every later record would vanish'
const ELSEWHERE = 'brings in values from elsewhere, which no turn and no ledger knows of'
const SWALLOWS = 'swallows faults, so that the record at fault would vanish'
const OTHER_TIME = 'gives values at another time than in the turn of their record'
const SPLITS = 'gives flows instead of values'

const FOR_STATE = 'keep what is needed with scan of stream-node'
const FOR_TOTALS = 'use aggregate of stream-node, which tells the total as it grows'
const FOR_TIME = 'leave it out: nothing in a pipeline waits for time to pass'
const FOR_CUTS = 'use filter on what the value says, or scan of stream-node to count'
const FOR_SOURCES = 'give all streams to from(a, b), or do it where the values are published'
const FOR_FAULTS = 'catch it in the function that throws'
const FOR_SPLITS = 'give each value a target with to(value => stream)'

const asIs: Verdict = { verdict: 'as is' }
const twin = (why: string, mend: string): Verdict => ({ verdict: 'twin', why, mend })
const refused = (why: string, mend: string): Verdict => ({ verdict: 'refused', why, mend })

/** By the name under which `rxjs/operators` exports it. */
export const verdicts: Readonly<Record<string, Verdict>> = Object.freeze({
  audit: refused(WAITS, FOR_TIME),
  auditTime: refused(WAITS, FOR_TIME),
  buffer: refused(REMEMBERS, FOR_STATE),
  bufferCount: refused(REMEMBERS, FOR_STATE),
  bufferTime: refused(WAITS, FOR_TIME),
  bufferToggle: refused(REMEMBERS, FOR_STATE),
  bufferWhen: refused(REMEMBERS, FOR_STATE),
  catchError: refused(SWALLOWS, FOR_FAULTS),
  combineAll: refused(ENDS, FOR_SOURCES),
  combineLatest: refused(ELSEWHERE, FOR_SOURCES),
  combineLatestAll: refused(ENDS, FOR_SOURCES),
  combineLatestWith: refused(ELSEWHERE, FOR_SOURCES),
  concat: refused(ELSEWHERE, FOR_SOURCES),
  concatAll: asIs,
  concatMap: asIs,
  concatMapTo: asIs,
  concatWith: refused(ELSEWHERE, FOR_SOURCES),
  connect: asIs,
  count: refused(ENDS, FOR_TOTALS),
  debounce: refused(WAITS, FOR_TIME),
  debounceTime: refused(WAITS, FOR_TIME),
  defaultIfEmpty: refused(ENDS, 'leave it out'),
  delay: refused(WAITS, FOR_TIME),
  delayWhen: refused(WAITS, FOR_TIME),
  dematerialize: refused(CUTS, 'use map'),
  distinct: twin(REMEMBERS, 'use distinct of stream-node'),
  distinctUntilChanged: refused(REMEMBERS, FOR_STATE),
  distinctUntilKeyChanged: refused(REMEMBERS, FOR_STATE),
  elementAt: refused(CUTS, FOR_CUTS),
  endWith: refused(ENDS, 'leave it out'),
  every: refused(CUTS, FOR_CUTS),
  exhaust: asIs,
  exhaustAll: asIs,
  exhaustMap: asIs,
  expand: asIs,
  filter: asIs,
  finalize: asIs,
  find: refused(CUTS, FOR_CUTS),
  findIndex: refused(CUTS, FOR_CUTS),
  first: refused(CUTS, FOR_CUTS),
  flatMap: asIs,
  groupBy: refused(SPLITS, 'leave it out: scan and aggregate of stream-node go by the key of each record'),
  ignoreElements: asIs,
  isEmpty: refused(CUTS, 'leave it out'),
  last: refused(ENDS, FOR_TOTALS),
  map: asIs,
  mapTo: asIs,
  materialize: refused(SWALLOWS, FOR_FAULTS),
  max: refused(ENDS, FOR_TOTALS),
  merge: refused(ELSEWHERE, FOR_SOURCES),
  mergeAll: asIs,
  mergeMap: asIs,
  mergeMapTo: asIs,
  mergeScan: refused(REMEMBERS, FOR_STATE),
  mergeWith: refused(ELSEWHERE, FOR_SOURCES),
  min: refused(ENDS, FOR_TOTALS),
  multicast: refused(OTHER_TIME, 'use connect'),
  observeOn: refused(OTHER_TIME, 'leave it out: a turn is synchronous'),
  onErrorResumeNext: refused(SWALLOWS, FOR_FAULTS),
  pairwise: refused(REMEMBERS, FOR_STATE),
  partition: refused(SPLITS, FOR_SPLITS),
  pluck: asIs,
  publish: refused(OTHER_TIME, 'use connect'),
  publishBehavior: refused(OTHER_TIME, 'use connect'),
  publishLast: refused(OTHER_TIME, 'use connect'),
  publishReplay: refused(OTHER_TIME, 'use connect'),
  race: refused(ELSEWHERE, FOR_SOURCES),
  raceWith: refused(ELSEWHERE, FOR_SOURCES),
  reduce: refused(ENDS, FOR_TOTALS),
  refCount: refused(OTHER_TIME, 'use connect'),
  repeat: refused(ENDS, 'leave it out'),
  repeatWhen: refused(ENDS, 'leave it out'),
  retry: refused(SWALLOWS, FOR_FAULTS),
  retryWhen: refused(SWALLOWS, FOR_FAULTS),
  sample: refused(WAITS, FOR_TIME),
  sampleTime: refused(WAITS, FOR_TIME),
  scan: twin(REMEMBERS, 'use scan of stream-node'),
  sequenceEqual: refused(ELSEWHERE, FOR_SOURCES),
  share: asIs,
  shareReplay: refused(REMEMBERS, 'use share'),
  single: refused(ENDS, FOR_CUTS),
  skip: refused(REMEMBERS, FOR_CUTS),
  skipLast: refused(REMEMBERS, FOR_CUTS),
  skipUntil: refused(ELSEWHERE, FOR_CUTS),
  skipWhile: refused(REMEMBERS, FOR_CUTS),
  startWith: refused(ELSEWHERE, 'publish the value to the stream instead'),
  subscribeOn: refused(OTHER_TIME, 'leave it out: a turn is synchronous'),
  switchAll: asIs,
  switchMap: asIs,
  switchMapTo: asIs,
  switchScan: refused(REMEMBERS, FOR_STATE),
  take: refused(CUTS, FOR_CUTS),
  takeLast: refused(ENDS, FOR_CUTS),
  takeUntil: refused(CUTS, FOR_CUTS),
  takeWhile: refused(CUTS, FOR_CUTS),
  tap: asIs,
  throttle: refused(WAITS, FOR_TIME),
  throttleTime: refused(WAITS, FOR_TIME),
  throwIfEmpty: refused(ENDS, 'leave it out'),
  timeInterval: refused(REMEMBERS, FOR_STATE),
  timeout: refused(WAITS, FOR_TIME),
  timeoutWith: refused(WAITS, FOR_TIME),
  timestamp: asIs,
  toArray: refused(ENDS, FOR_TOTALS),
  window: refused(SPLITS, FOR_STATE),
  windowCount: refused(SPLITS, FOR_STATE),
  windowTime: refused(SPLITS, FOR_TIME),
  windowToggle: refused(SPLITS, FOR_STATE),
  windowWhen: refused(SPLITS, FOR_STATE),
  withLatestFrom: refused(ELSEWHERE, FOR_SOURCES),
  zip: refused(ELSEWHERE, FOR_SOURCES),
  zipAll: refused(ENDS, FOR_SOURCES),
  zipWith: refused(ELSEWHERE, FOR_SOURCES),
})

/** Of what `probe` reads, where other operators are made of it and cannot be told from it. */
const MADE_OF: Readonly<Record<string, string>> = {
  audit: 'audit or auditTime',
  combineLatest: 'combineLatest or combineLatestWith',
  concat: 'concat or concatWith',
  distinctUntilChanged: 'distinctUntilChanged or distinctUntilKeyChanged',
  find: 'find or findIndex',
  merge: 'merge or mergeWith',
  raceWith: 'race or raceWith',
  reduce: 'reduce, count, max or min',
  sample: 'sample or sampleTime',
  throttle: 'throttle or throttleTime',
  timeout: 'timeout or timeoutWith',
  zip: 'zip or zipWith',
  toArray: 'toArray, combineLatestAll or zipAll',
}

/** What is wrong with an operator that `probe` read, and the mend; undefined when it is taken as it is. */
export function objectionTo(name: string): { readonly what: string; readonly mend: string } | undefined {
  const { verdict, why = '', mend = '' } = (Object.hasOwn(verdicts, name) && verdicts[name]) || asIs
  return verdict === 'as is' ? undefined : { what: `is ${MADE_OF[name] ?? name} of RxJS, which ${why}`, mend }
}
