// Reads a HAR file as "Import HAR file" of Chrome's developer tools does, with their own code, and
// prints each request as they would list it, a line of JSON each:
//
//     node tests/interop/devtools.mjs target/interop/node FILE.har
//
// The code is that of `chrome-devtools-frontend`, in TypeScript and for a browser; `esbuild` makes
// a module of the importer and what it needs. It is what NetworkLogView.onLoadFromFile calls.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, file] = process.argv.slice(2);
const at = createRequire(resolve(folder, "package.json"));
const har = "chrome-devtools-frontend/front_end/models/har";

// Which languages there are is written when DevTools are built; the package has it not.
const locales = {
  name: "locales",
  setup: (build) => {
    build.onResolve({ filter: /^\.\/locales\.js$/ }, () => ({ path: "locales", namespace: "built" }));
    build.onLoad({ filter: /.*/, namespace: "built" }, () => ({
      contents: `export const LOCALES = ["en-US"], BUNDLED_LOCALES = LOCALES, DEFAULT_LOCALE = "en-US",
        LOCAL_FETCH_PATTERN = "", REMOTE_FETCH_PATTERN = "";`,
    }));
  },
};
const module = resolve(folder, "devtools-har.mjs");
const built = await at("esbuild").build({
  stdin: {
    contents: `import "chrome-devtools-frontend/front_end/generated/protocol.js";
      export { HARRoot } from "${har}/HARFormat.js"; export { Importer } from "${har}/Importer.js";`,
    resolveDir: resolve(folder),
  },
  bundle: true, platform: "node", format: "esm", write: false, logLevel: "error", plugins: [locales],
});
const code = built.outputFiles[0].text;
writeFileSync(module, code);
globalThis.self = globalThis; // Their code looks for a window.
const { HARRoot, Importer } = await import(pathToFileURL(module));

for (const request of Importer.requestsFromHARLog(new HARRoot(JSON.parse(readFileSync(file, "utf8"))).log)) {
  const content = await request.requestContentData();
  console.log(JSON.stringify({
    method: request.requestMethod,
    url: request.url(),
    status: request.statusCode,
    protocol: request.protocol,
    remote: request.remoteAddress(),
    size: request.resourceSize,
    started: request.startTime,
    seconds: request.duration,
    timing: request.timing,
    body: content.isTextContent ? content.text : content.base64,
    posted: await request.requestFormData(),
    frames: request.frames().length,
  }));
}
