/** The shortest part of `list` found that still fails; `fails` is asked `attempts` times at the most. */
export declare function smallest<T>(
  list: readonly T[],
  fails: (some: readonly T[]) => Promise<boolean>,
  attempts: number,
): Promise<readonly T[]>
