// `node edge`, as the image starts it.
import './services/edge/dist/main.js'
