// Builds the playground's page into dist/page/: a script, a style sheet, the document and its icon. The page needs nothing from any
// other host. esbuild bundles and checks no types: `npm run build:page` has `tsc` do that first.
import { copyFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const views = "src/playground/views";
const out = "dist/page";

mkdirSync(out, { recursive: true });
await build({
  entryPoints: { app: `${views}/main.tsx` },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome122", "firefox128"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
});
await build({
  entryPoints: { app: `${views}/styles/app.css` },
  outdir: out,
  bundle: true,
  minify: true,
  target: ["chrome122", "firefox128"],
  logLevel: "warning",
});
for (const file of ["index.html", "icon.svg"]) copyFileSync(`${views}/${file}`, `${out}/${file}`);
