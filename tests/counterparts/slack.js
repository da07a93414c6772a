// An app by @slack/bolt, Slack's own framework, on a free port of this machine: it takes slash commands and pressed
// buttons where its verifier says that they are Slack's. Prints its port, and then what it hears, a line of JSON each.
// It asks Slack nothing.
//
// usage: node slack.js FOLDER-OF-NODE-PACKAGES SIGNING-SECRET PATH
"use strict";
const path = require("node:path");

const [packages, signingSecret, endpoint] = process.argv.slice(2);
const { App, HTTPReceiver, LogLevel } = require(path.join(packages, "node_modules", "@slack/bolt"));

const receiver = new HTTPReceiver({ signingSecret, endpoints: [endpoint], logLevel: LogLevel.ERROR });
const app = new App({ receiver, authorize: async () => ({ botId: "B0001" }), logLevel: LogLevel.ERROR });

const told = (heard) => console.log(JSON.stringify(heard));

app.command("/landfall", async ({ command, ack }) => {
  told({ member: command.user_id, words: command.text, once: command.trigger_id, answer_to: command.response_url });
  await ack();
});

app.action({ type: "block_actions" }, async ({ action, body, ack }) => {
  told({ member: body.user.id, words: action.value, once: body.trigger_id, answer_to: body.response_url });
  await ack();
});

app.start({ host: "127.0.0.1", port: 0 }).then((server) => told(server.address().port));
