/** The engine as a script of its own, fetched when the reader plays: it registers itself with the component. */
import { createEngine, loadNetwork } from "./engine.js";

/** @type {any} */ (window).elsedu_live.register("engine", { createEngine, loadNetwork });
