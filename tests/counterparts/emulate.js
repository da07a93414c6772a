// A GitHub that others wrote: the emulator `emulate`, on a free port of loopback, until its input ends. It keeps
// repositories, commits, refs, checks, hooks and Apps, and sends signed webhooks of what happens there.
//
// usage: node emulate.js FOLDER-OF-NODE-PACKAGES, with the seed of its GitHub as one line of JSON on its input; prints
// one line { url, keys: { APP-ID: PEM } } when it answers. Needs Node 24.
"use strict";
const path = require("node:path");
const readline = require("node:readline");
const { pathToFileURL } = require("node:url");

async function start(seed) {
  const entry = path.join(path.resolve(process.argv[2]), "node_modules/emulate/dist/api.js");
  const { createEmulator } = await import(pathToFileURL(entry).href);
  const port = await freePort();
  const github = await createEmulator({ service: "github", port, baseUrl: `http://127.0.0.1:${port}`, seed });
  const keys = github.generatedSecrets.filter((it) => it.kind === "github.app_private_key");
  const line = { url: `http://127.0.0.1:${port}`, keys: Object.fromEntries(keys.map((it) => [it.id, it.value])) };
  process.stdout.write(JSON.stringify(line) + "\n");
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = require("node:net").createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const input = readline.createInterface({ input: process.stdin });
input.once("line", (line) => start(JSON.parse(line)));
input.once("close", () => process.exit(0));
