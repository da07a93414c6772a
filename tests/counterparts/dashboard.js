// What somebody does on the dashboard with a browser that we did not write, a scene a call:
//   node dashboard.js SCENE [WORD…]
// The environment says where: LANDFALL_URL, LANDFALL_TOKEN, CHROMIUM, SHOTS (a folder for screenshots and the session).
// It prints one JSON object: what was seen.

const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { chromium } = require(process.env.PLAYWRIGHT);

const { LANDFALL_URL: url, LANDFALL_TOKEN: token, CHROMIUM: executablePath, SHOTS: shots } = process.env;
const session = path.join(shots, "session.json");
const text = (page) => page.locator("main").innerText();

const press = async (page, name) => {
  const button = page.getByRole("button", { name, exact: true });
  await Promise.all([page.waitForEvent("framenavigated"), button.click()]);
  await page.waitForLoadState();
};

/// A site of somebody else's, at an address of this machine.
const elsewhere = (host, html) =>
  new Promise((ready) => {
    const server = http.createServer((_, answer) => answer.setHeader("content-type", "text/html").end(html));
    server.listen(0, "127.0.0.1", () => ready([server, `http://${host}:${server.address().port}/`]));
  });

const scenes = {
  async login(page) {
    await page.goto(`${url}/targets/site`);
    await page.getByLabel("Token").fill(token);
    await press(page, "Sign in");
    await page.context().storageState({ path: session });
    return { at: page.url(), main: await text(page) };
  },
  /// Follows the link of an act, reads what it will do, and does it.
  async act(page, where, name, reason) {
    await page.goto(url + where);
    await page.getByRole("link", { name: `${name}…`, exact: true }).click();
    const said = await text(page);
    if (reason) await page.getByLabel("Reason").fill(reason);
    await page.screenshot({ path: path.join(shots, `asked-${name.replace(/\W/g, "")}.png`), fullPage: true });
    await press(page, name);
    return { said, at: page.url(), main: await text(page) };
  },
  async see(page, where) {
    await page.goto(url + where);
    return { main: await text(page), title: await page.title() };
  },
  /// Pages of others post a form that would lock the target. One is of another site, one only of another port, to which
  /// the browser does send the cookie.
  async foreign(page) {
    const form = `<form method="post" action="${url}/targets/site/lock"><input name="key" value="evil"></form>
      <form method="post" action="${url}/login"><input name="token" value="${token}"></form>`;
    const said = {};
    for (const [name, host, which] of [["site", "localhost", 0], ["port", "127.0.0.1", 0], ["login", "127.0.0.1", 1]]) {
      const [server, at] = await elsewhere(host, form);
      await page.goto(at);
      const [answer] = await Promise.all([
        page.waitForResponse((it) => it.request().method() === "POST"),
        page.evaluate((which) => document.forms[which].submit(), which),
      ]);
      const sent = (await answer.request().allHeaders()).cookie ?? "";
      said[name] = { status: answer.status(), cookie: sent.includes("landfall="), main: await text(page) };
      server.close();
    }
    const [server, at] = await elsewhere("127.0.0.1", `<iframe src="${url}/"></iframe>`);
    await page.goto(at);
    await page.waitForTimeout(300);
    said.framed = page.frames().length > 1 && (await page.frames()[1].content()).includes("Targets");
    server.close();
    return said;
  },
  /// What got into a page in spite of everything does not run. The page's own script does.
  async injected(page, where) {
    const refused = [];
    page.on("console", (line) => line.text().includes("Content Security Policy") && refused.push(line.text()));
    const html = `<script>window.ran = "inline"</script><img src="/none" onerror="window.ran = 'attribute'">
      <script src="data:text/javascript,window.ran='data'"></script><a id="go" href="javascript:window.ran='link'">x</a>
      <style>body { display: none }</style><form id="away" action="http://localhost:1/steal" method="post"></form>`;
    await page.route(url + where, async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, body: (await answer.text()).replace("<main", `${html}<main`) });
    });
    await page.goto(url + where);
    await page.locator("#go").click();
    await page.evaluate(() => document.getElementById("away").submit());
    await page.waitForTimeout(300);
    const shown = await page.evaluate(() => getComputedStyle(document.body).display !== "none");
    const live = await page.locator("#live").isVisible();
    return { ran: await page.evaluate(() => window.ran ?? null), refused: refused.length, shown, live, at: page.url() };
  },
};

(async () => {
  const [scene, ...words] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--no-proxy-server"] });
  const storageState = fs.existsSync(session) ? session : undefined;
  const page = await (await browser.newContext({ storageState, viewport: { width: 1100, height: 800 } })).newPage();
  page.setDefaultTimeout(15000);
  try {
    const seen = await scenes[scene](page, ...words);
    await page.screenshot({ path: path.join(shots, `${scene}-${words.join("-").replace(/\W/g, "")}.png`), fullPage: true });
    console.log(JSON.stringify(seen));
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
