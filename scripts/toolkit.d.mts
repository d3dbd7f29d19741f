/** The toolkit's folder, whether or not it is there. */
export declare const toolkit: string
/** Whether the PATH has the program. */
export declare function isThere(command: string): boolean
/** The path of a program that may have to be unpacked from the toolkit. Throws with what to install where there is neither. */
export declare function tool(name: 'helm' | 'k6' | 'kubeconform'): string
/** The path of a program in `folder`, where `install FOLDER` puts it when it is not there. Several processes may ask at once. */
export declare function unpacked(name: string, options: { readonly install: string; readonly folder: string }): string
