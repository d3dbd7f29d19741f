// `node flotilla policy check FILE`, as the image starts it.
import './packages/cli/dist/main.js'
