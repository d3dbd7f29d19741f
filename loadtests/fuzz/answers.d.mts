/** What is wrong with an answer of ingest; undefined when nothing is. */
export declare function answerFault(answer: {
  readonly status: number
  readonly type: string
  readonly body: string
}): string | undefined
