/** Amounts as people read them. */

const SPANS: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
]

/** `20 seconds`, `1.5 hours`, `300 ms` */
export function spanInWords(ms: number): string {
  const [unitMs, unit] = SPANS.find(([unitMs]) => ms >= unitMs) ?? [1, 'ms']
  const count = Math.round((ms / unitMs) * 10) / 10
  return unit === 'ms' ? `${Math.round(ms)} ms` : `${count} ${unit}${count === 1 ? '' : 's'}`
}

const SIZES: readonly (readonly [bytes: number, unit: string])[] = [
  [1024 ** 4, 'TB'],
  [1024 ** 3, 'GB'],
  [1024 ** 2, 'MB'],
  [1024, 'KB'],
]

/** `1.5 GB`, `300 bytes`; 1 KB is 1024 bytes. */
export function sizeInWords(bytes: number): string {
  const [unitBytes, unit] = SIZES.find(([unitBytes]) => bytes >= unitBytes) ?? [1, 'bytes']
  return `${(Math.round((bytes / unitBytes) * 10) / 10).toLocaleString('en-US')} ${unit}`
}

/** `12,345 records` */
export function countInWords(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}
