/** Subjects: words between dots. `*` stands for one word, a last `>` for one or more. */

/** Whether a pattern takes in a subject. */
export function matches(pattern: string, subject: string): boolean {
  if (pattern === subject) return true
  const wanted = pattern.split('.')
  const words = subject.split('.')
  for (const [i, want] of wanted.entries()) {
    if (want === '>' && i === wanted.length - 1) return words.length > i
    if (i >= words.length || (want !== '*' && want !== words[i])) return false
  }
  return wanted.length === words.length
}
