/** The values that state may hold, to bytes and back, exactly. */

/** `S` where it can be stored; where it cannot, a type that nothing fits and that says why. */
export type Storable<S> = S extends string | number | boolean | null | undefined | Uint8Array
  ? S
  : S extends
        | bigint
        | symbol
        | Date
        | ReadonlyMap<unknown, unknown>
        | ReadonlySet<unknown>
        | Promise<unknown>
        | ((...a: never[]) => unknown)
    ? { 'cannot be stored; use plain objects, arrays, strings, numbers, booleans': S }
    : S extends object
      ? { [K in keyof S]: Storable<S[K]> }
      : S
