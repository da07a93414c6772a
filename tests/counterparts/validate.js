// Judges messages of Amazon SNS as AWS's own JavaScript does: sns-validator, with certificates handed to it instead of
// fetched. Reads lines `{"body": …, "certificates": {URL: PEM}}`, prints `ok` or the reason, a line each.
"use strict";

const { EventEmitter } = require("events");
const https = require("https");
const path = require("path");
const readline = require("readline");

const Validator = require(path.join(process.argv[2], "node_modules", "sns-validator"));
let certificates = {};

https.get = (url, hear) => {
  const answer = new EventEmitter();
  const page = certificates[url];
  answer.statusCode = page === undefined ? 404 : 200;
  process.nextTick(() => {
    hear(answer);
    if (page !== undefined) {
      answer.emit("data", Buffer.from(page));
      answer.emit("end");
    }
  });
  return new EventEmitter();
};

const judge = (body) =>
  new Promise((done) => new Validator().validate(body, (error) => done(error ? error.message : "ok")));

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    certificates = asked.certificates;
    console.log(await judge(asked.body));
  }
})();
