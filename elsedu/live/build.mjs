// Builds the scripts and the style sheet in dist from src (esbuild). Usage: node build.mjs [folder, default dist]
import { build } from "esbuild";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url)), out = process.argv[2] ?? join(here, "dist");

// import text from "worker:./file.js": the file and all it imports as one script
const workers = {
  name: "worker",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^worker:/ }, ({ path, resolveDir }) => ({ path: join(resolveDir, path.slice(7)), namespace: "worker" }));
    onLoad({ filter: /.*/, namespace: "worker" }, async ({ path }) => {
      const { outputFiles } = await build({ ...options, entryPoints: [path], write: false });
      return { contents: outputFiles[0].text, loader: "text" };
    });
  },
};

const options = {
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none",
  loader: { ".wasm": "binary", ".wgsl": "text" },
};

const targets = { "engine.js": "engine/main.js", "elsedu-live.js": "ui/main.js", "elsedu-live.css": "ui/style.css" };
for (const [name, entry] of Object.entries(targets))
  await build({
    ...options,
    target: name.endsWith(".css") ? ["es2022", "chrome105", "safari16", "firefox115"] : options.target,
    entryPoints: [join(here, "src", entry)],
    outfile: join(out, name),
    plugins: [workers],
  });
