// `node control`, as the image starts it.
import './services/control/dist/main.js'
