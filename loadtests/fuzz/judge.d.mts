export declare const mark: string
interface Judged {
  readonly userId: string | undefined
  readonly seen: (name: string) => void
}
/** What is wrong with a frame of the server; undefined when nothing is. */
export declare function faultOf(text: string, judged: Judged): string | undefined
/** `echo`: what the client had closed with itself, if it did. */
export declare function closeFault(code: number, echo: number | undefined): string | undefined
