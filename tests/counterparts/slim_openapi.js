// Cuts GitHub's own OpenAPI description down to the paths that Landfall calls, and to what they refer to: Prism reads
// the whole of it for a quarter of a minute, this in three seconds. Changes nothing in what it keeps, but for two things:
// a form of an answer that an operation's prose promises and its list leaves out is added to the list, and «nothing» as an
// alternative is written so that Prism understands it.
//
// usage: node slim_openapi.js FOLDER-OF-NODE-PACKAGES OUTPUT
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const [packages, output] = process.argv.slice(2);
const file = path.join(packages, "node_modules/@octokit/openapi/generated/api.github.com.json");
const whole = JSON.parse(fs.readFileSync(file, "utf8"));

const KEPT = [
  /^\/$/,
  /^\/rate_limit$/,
  /^\/user$/,
  /^\/app(\/installations.*|\/hook.*)?$/,
  /^\/installation\/.*/,
  /^\/orgs\/\{org\}\/hooks(\/.*)?$/,
  /^\/repositories\/\{repository_id\}$/,
  /^\/repos\/\{owner\}\/\{repo\}$/,
  /^\/repos\/\{owner\}\/\{repo\}\/(branches|tags)(\/\{branch\})?$/,
  /^\/repos\/\{owner\}\/\{repo\}\/(check-runs|check-suites|comments|commits|compare|contents|deployments|environments|git|hooks|installation|statuses|tarball|zipball)(\/.*)?$/,
  /^\/repos\/\{owner\}\/\{repo\}\/issues\/(\{issue_number\}\/)?comments(\/\{comment_id\})?$/,
];
const paths = Object.fromEntries(
  Object.entries(whole.paths).filter(([name]) => KEPT.some((pattern) => pattern.test(name))),
);

// «This endpoint supports the following custom media types: **`application/vnd.github.raw+json`**: …»
for (const operation of Object.values(paths).flatMap(Object.values)) {
  const content = operation.responses?.["200"]?.content ?? {};
  for (const [, type] of (operation.description ?? "").matchAll(/\*\*`(application\/vnd\.github\.[^`]+)`\*\*/g)) {
    content[type] ??= { schema: { type: "string" }, example: `in the form ${type}` };
  }
}

// Follows every `$ref` from the kept paths.
const components = {};
const queue = [paths];
while (queue.length > 0) {
  const value = queue.pop();
  if (value === null || typeof value !== "object") continue;
  for (const [key, inner] of Object.entries(value)) {
    if (key !== "$ref" || typeof inner !== "string" || !inner.startsWith("#/components/")) {
      queue.push(inner);
      continue;
    }
    const [, , kind, name] = inner.split("/");
    components[kind] ??= {};
    if (components[kind][name] !== undefined) continue;
    components[kind][name] = whole.components[kind][name];
    queue.push(components[kind][name]);
  }
}

// Prism passes over whole answers without a word where something in them may be null and has no type of its own.
const speltOut = (value) => {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(speltOut);
  const { nullable, ...rest } = Object.fromEntries(Object.entries(value).map(([key, it]) => [key, speltOut(it)]));
  if (nullable === undefined) return rest;
  return nullable === true && rest.type === undefined ? { anyOf: [rest, { enum: [null] }] } : { nullable, ...rest };
};

const { openapi, info, servers } = whole;
fs.writeFileSync(output, JSON.stringify(speltOut({ openapi, info, servers, paths, components })));
process.stdout.write(`${Object.keys(paths).length} of ${Object.keys(whole.paths).length} paths kept\n`);
