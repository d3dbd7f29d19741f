export interface Sample {
  readonly seconds: number
  readonly rss: number
  readonly heapUsed: number
}
/** First, last and most of the resident memory after a collection, and whether it grows once it has settled. */
export declare function memoryOf(samples: readonly Sample[]): {
  readonly rows: readonly { readonly name: string; readonly verdict: string }[]
  readonly failure?: { readonly fault: string }
}
