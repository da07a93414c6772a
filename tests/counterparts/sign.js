// Signs deliveries as GitHub's own JavaScript library does: every example payload of @octokit/webhooks-examples, one
// JSON object a line: { event, action, signature, body }. Checks nothing.
//
// usage: node sign.js FOLDER-OF-NODE-PACKAGES SECRET
"use strict";
const { createRequire } = require("node:module");
const path = require("node:path");
const { pathToFileURL } = require("node:url");

const [packages, secret] = process.argv.slice(2);
const within = path.join(path.resolve(packages), "node_modules");
const need = createRequire(path.join(within, "of-the-packages.js"));

async function main() {
  // It is a module of the newer kind, which `require` does not find.
  const entry = path.join(within, "@octokit/webhooks-methods/dist-node/index.js");
  const { sign, verify } = await import(pathToFileURL(entry).href);
  for (const { name, examples } of need("./@octokit/webhooks-examples")) {
    for (const example of examples) {
      const body = JSON.stringify(example);
      const signature = await sign(secret, body);
      if (!(await verify(secret, body, signature))) throw new Error(`${name}: its own signature does not verify`);
      process.stdout.write(JSON.stringify({ event: name, action: example.action ?? null, signature, body }) + "\n");
    }
  }
}

main();
