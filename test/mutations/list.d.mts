/** A rule that is left out by replacing one text, and the test that has to fail then. */
export interface Mutation {
  readonly rule: string
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly tests: { readonly project: string; readonly file: string; readonly name: string }
}
export declare const mutations: readonly Mutation[]
