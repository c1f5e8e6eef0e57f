/** What every object of the process has, as it was when this was loaded: no input may change any of it. */

const WATCHED: readonly object[] = [
  ...[Object, Array, Function, String, Number, Boolean, Symbol, BigInt, RegExp, Date, Error, TypeError, RangeError],
  ...[Map, Set, WeakMap, Promise, ArrayBuffer, DataView, Uint8Array, Float64Array, Buffer],
].flatMap(kind => [kind, kind.prototype as object])

interface Held {
  readonly of: object
  readonly above: unknown
  readonly properties: ReadonlyMap<PropertyKey, PropertyDescriptor>
}

const before: readonly Held[] = [...WATCHED, JSON, Math, Reflect].map(held)

function held(of: object): Held {
  const described = (key: PropertyKey) =>
    [key, Reflect.getOwnPropertyDescriptor(of, key) as PropertyDescriptor] as const
  const properties = new Map(Reflect.ownKeys(of).map(described))
  return { of, above: Object.getPrototypeOf(of), properties }
}

/** What has changed, by name; undefined when nothing has. */
export function changedPrototype(): string | undefined {
  for (const { of, above, properties } of before) {
    const now = held(of)
    if (now.above !== above) return `the prototype of ${nameOf(of)}`
    for (const key of new Set([...properties.keys(), ...now.properties.keys()])) {
      const [was, is] = [properties.get(key), now.properties.get(key)]
      const same = was !== undefined && is !== undefined && Object.is(was.value, is.value) && was.get === is.get
      if (!same || was.set !== is.set) return `${String(key)} of ${nameOf(of)}`
    }
  }
  return undefined
}

function nameOf(of: object): string {
  if (typeof of === 'function') return of.name
  const { constructor } = of as { constructor?: { name?: string } }
  return `a prototype (${constructor?.name ?? 'none'})`
}
