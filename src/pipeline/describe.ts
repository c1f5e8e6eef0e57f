/** A definition told to people and programs: as plain JSON, as text, as a Mermaid flowchart. Pure; nothing runs. */
import { definitionOf } from '../operators/operator.js'
import type { Sink } from '../stream/sink.js'
import type { Stream } from '../stream/stream.js'
import type { Definition } from './definition.js'
import { plan, type Stage } from './plan.js'

/** A pipeline as plain JSON. */
export interface PipelineDescription {
  readonly pipeline: string
  readonly stages: readonly StageDescription[]
}

export interface StageDescription {
  readonly sources: readonly StreamShape[]
  readonly steps: readonly StepDescription[]
  readonly targets: readonly (StreamShape | SinkShape)[]
  /** A function says for each value where it goes, so the streams are not known beforehand. */
  readonly chooses: boolean
}

export interface StreamShape {
  readonly stream: string
  readonly partitions: number
}

export interface SinkShape {
  readonly sink: string
}

export interface StepDescription {
  /** What it is called; for RxJS, the operators it is made of. */
  readonly name: string
  readonly of: 'rxjs' | 'stream-node'
}

/** What `to` made, as plain JSON. Throws `BAD_OPTION` for anything else. */
export function describePipeline(definition: Definition): PipelineDescription {
  return { pipeline: definition.name, stages: plan(definition).map(stageOf) }
}

function stageOf({ sources, steps, names, targets, sinks, choose }: Stage): StageDescription {
  return {
    sources: sources.map(shapeOf),
    steps: steps.map((step, index) => ({
      name: names[index] as string,
      of: definitionOf(step) === undefined ? 'rxjs' : 'stream-node',
    })),
    targets: [...targets.map(shapeOf), ...sinks.map(({ name }: Sink<unknown>) => ({ sink: name }))],
    chooses: choose !== undefined,
  }
}

function shapeOf({ name, partitions }: Stream<unknown>): StreamShape {
  return { stream: name, partitions }
}

/** A few lines for a terminal. */
export function textOf({ pipeline, stages }: PipelineDescription): string {
  const lines = stages.flatMap(({ sources, steps, targets, chooses }) => [
    ...sources.map(({ stream, partitions }) => `  from ${stream} (${counted(partitions)})`),
    ...steps.map(({ name, of }, index) => `    ${index + 1}. ${name}${of === 'rxjs' ? '' : ', with memory in tables'}`),
    ...targets.map(
      target => `  to ${'sink' in target ? `sink ${target.sink}` : `${target.stream} (${counted(target.partitions)})`}`,
    ),
    ...(chooses ? ['  to the streams that a function chooses'] : []),
  ])
  return [`pipeline ${pipeline}`, ...lines, ''].join('\n')
}

/** Pipelines as one flowchart; a stream that several of them touch is drawn once. */
export function mermaidOf(pipelines: readonly PipelineDescription[]): string {
  const lines = new Set(['flowchart LR'])
  const drawn = (shape: StreamShape | SinkShape) => {
    if ('sink' in shape) {
      lines.add(`  ${idOf('sink', shape.sink)}[/"${shape.sink}"/]`)
      return idOf('sink', shape.sink)
    }
    const { stream, partitions } = shape
    lines.add(`  ${idOf('stream', stream)}[("${stream}<br>${counted(partitions)}")]`)
    return idOf('stream', stream)
  }
  for (const { pipeline, stages } of pipelines) {
    for (const { sources, steps, targets, chooses } of stages) {
      const names = steps.map(({ name }) => name).join('<br>')
      const id = idOf('pipeline', pipeline)
      lines.add(`  ${id}["${escaped(names === '' ? pipeline : `${pipeline}<br>${names}`)}"]`)
      for (const source of sources) lines.add(`  ${drawn(source)} --> ${id}`)
      for (const target of targets) lines.add(`  ${id} --> ${drawn(target)}`)
      if (chooses) lines.add(`  ${id} -. chooses .-> ${id}_targets["streams"]`)
    }
  }
  return [...lines, ''].join('\n')
}

/** Mermaid takes `end` and the like for its own words, so each name is prefixed; all our names are plain. */
function idOf(kind: string, name: string): string {
  return `${kind}_${name}`
}

/** The name of a step may be that of any function. */
function escaped(text: string): string {
  return text.replaceAll('"', '#quot;')
}

function counted(partitions: number): string {
  return partitions === 1 ? '1 partition' : `${partitions} partitions`
}
