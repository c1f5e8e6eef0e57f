/** How far what is processed can lead to more: the longest chain of stages that read what others write. */
import type { Stage } from '../pipeline/plan.js'

/**
 * The number of stages on the longest road through these, from stream to stream; Infinity when a road leads back to
 * where it began. A stage that chooses its targets value by value may write to any stream that another one reads.
 */
export function depthOf(stages: readonly Stage[]): number {
  const readers = new Map(stages.map(stage => [stage, stages.filter(other => leads(stage, other))]))
  const depths = new Map<Stage, number>()
  const onRoad = new Set<Stage>()
  const depth = (stage: Stage): number => {
    if (onRoad.has(stage)) return Infinity
    const known = depths.get(stage)
    if (known !== undefined) return known
    onRoad.add(stage)
    const found = 1 + Math.max(0, ...(readers.get(stage) ?? []).map(depth))
    onRoad.delete(stage)
    depths.set(stage, found)
    return found
  }
  return Math.max(0, ...stages.map(depth))
}

function leads(from: Stage, to: Stage): boolean {
  if (from.choose !== undefined) return true
  return from.targets.some(target => to.sources.some(source => source.name === target.name))
}
