/** Waits for something, but not for ever. */

/** What the promise gives, or `late` when that takes longer than `ms`. */
export function within<T, L>(ms: number, promise: Promise<T>, late: L): Promise<T | L> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, late)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
