/** The toolkit's folder, whether or not it is there. */
export declare const toolkit: string
/** Whether the PATH has the program. */
export declare function isThere(command: string): boolean
/** The path of a program that may have to be unpacked from the toolkit. Throws with what to do where there is neither. */
export declare function tool(name: 'helm' | 'k6' | 'kubeconform'): string
