/** The files of packages/core/src that are mutated together, without `.ts`. */
export declare const parts: Readonly<Record<string, readonly string[]>>
