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
  /// How long after the API's answer an open page shows what was asked for, in milliseconds, one for each reason.
  async live(page, ...reasons) {
    await page.goto(url);
    await page.getByText("Connected").waitFor();
    const took = [];
    for (const reason of reasons) {
      await page.waitForTimeout(700);
      const what = { ask: "lock", target: "site", reason };
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const shows = page.waitForFunction((reason) => document.body.innerText.includes(reason), reason, { polling: "raf" });
      await fetch(`${url}/api/v1/requests`, { method: "POST", headers, body: JSON.stringify({ key: reason, what }) });
      const from = performance.now();
      await shows;
      took.push(Math.round(performance.now() - from));
    }
    return took;
  },
  /// What becomes of a page whose stream is refused at first, is opened late, and is ended with the session: what the
  /// light says then, whether each lock is seen, and where the keyboard is when the page has changed around it.
  async returns(page) {
    const lock = async (reason) => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const what = { ask: "lock", target: "site", reason };
      await fetch(`${url}/api/v1/requests`, { method: "POST", headers, body: JSON.stringify({ key: reason, what }) });
    };
    const sees = (reason) => page.locator("main", { hasText: reason }).waitFor().then(() => true);
    let refused = 0;
    await page.route("**/api/v1/events*", (it) => ++refused < 3 ? it.fulfill({ status: 502, body: "starting" }) : it.continue());
    await page.goto(url);
    await page.getByText("Reconnecting").waitFor();
    await page.getByText("Connected").waitFor();
    await lock("after the proxy came back");
    const said = { refused, back: await sees("after the proxy came back") };
    await page.unroute("**/api/v1/events*");
    await page.route("**/api/v1/events*", async (it) => { await lock("before the stream was open"); await it.continue(); });
    await page.goto(url);
    said.late = await sees("before the stream was open");
    await page.locator("main a", { hasText: "site" }).first().focus();
    const at = () => page.evaluate(() => document.activeElement.getAttribute("href"));
    said.before = await at();
    await lock("while somebody goes by keys");
    said.seen = await sees("while somebody goes by keys");
    said.after = await at();
    await page.context().clearCookies();
    await lock("after the session");
    await page.locator("#live", { hasText: "Signed out" }).waitFor();
    said.ended = await page.locator("#live a").getAttribute("href");
    return said;
  },
  /// Somebody reads further up in a log when its deployment ends: whether it is the same log afterwards, which line they
  /// see before and after, how many lines it has of each name, and what the button says that leads down.
  async reads(page, where, go) {
    await page.goto(url + where);
    await page.getByText("Connected").waitFor();
    const sees = () => page.evaluate(() => {
      const { left, top, height } = document.querySelector("#log .lines").getBoundingClientRect();
      return document.elementFromPoint(left + 200, top + height / 2).closest("li").innerText;
    });
    await page.evaluate(() => {
      document.getElementById("log").mine = true;
      const box = document.querySelector("#log .lines");
      box.scrollIntoView({ block: "center" });
      box.scrollTop = -900;
    });
    const before = await sees();
    fs.writeFileSync(go, "");
    await page.locator("#main .head .state.succeeded").first().waitFor();
    await page.locator("#log .said", { hasText: "the end" }).waitFor({ state: "attached" });
    const newest = await page.locator("#log .newest").innerText();
    await page.evaluate(() => document.querySelector("#log .lines").scrollIntoView({ block: "center" }));
    const [after, same] = [await sees(), await page.evaluate(() => document.getElementById("log").mine === true)];
    const ids = await page.evaluate(() => [...document.querySelectorAll("[id]")].map((it) => it.id));
    return { before, after, same, newest, twice: ids.filter((id, at) => ids.indexOf(id) !== at) };
  },
  /// What is asked for, once a search is on the page, when something happens: the addresses, and what the log shows then.
  async searched(page, where, words) {
    await page.goto(`${url}${where}?q=${encodeURIComponent(words)}`);
    await page.getByText("Connected").waitFor();
    await page.waitForTimeout(700);
    const asked = [];
    page.on("request", (it) => it.url().includes(where) && asked.push(it.url().slice(url.length)));
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const what = { ask: "lock", target: "site", reason: "to see what the page does" };
    const again = page.waitForResponse((it) => it.url().includes(where));
    await fetch(`${url}/api/v1/requests`, { method: "POST", headers, body: JSON.stringify({ key: "searched", what }) });
    await again;
    await page.waitForTimeout(300);
    return { asked, log: await page.locator("#log").innerText() };
  },
  /// A page is opened while its log cannot be read: what it says, and whether the log comes, and goes on, by itself.
  async mended(page, where, log, go) {
    fs.renameSync(log, `${log}.away`);
    fs.mkdirSync(log);
    await page.goto(url + where);
    await page.getByText("Connected").waitFor();
    const said = await page.locator("#log").innerText();
    fs.rmdirSync(log);
    fs.renameSync(`${log}.away`, log);
    await page.locator("#log .said", { hasText: "line 400 of many" }).waitFor({ state: "attached" });
    fs.writeFileSync(go, "");
    await page.locator("#log .said", { hasText: "the end" }).waitFor({ state: "attached" });
    return { said };
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

/// How a page is looked at.
const LOOKS = [1280, 390].flatMap((width) => ["light", "dark"].map((colorScheme) => ({ width, colorScheme })));

/// A picture's name.
const named = (where, ...words) => path.join(shots, [where.replace(/[^\w]+/g, "-"), ...words].join("_") + ".png");

/// Each page in each look: what axe-core finds that is serious or worse, whether it is wider than the screen, how much
/// was loaded for it, and whether the keyboard gets to its content first.
const tour = async (browser, storageState, pages) => {
  const seen = [];
  for (const { width, colorScheme } of LOOKS) {
    // axe is ours to bring along, whatever the page allows.
    const looks = { storageState, colorScheme, viewport: { width, height: 844 }, bypassCSP: true };
    const context = await browser.newContext(looks);
    for (const where of pages) {
      const page = await context.newPage();
      page.setDefaultTimeout(15000);
      let bytes = 0;
      page.on("requestfinished", async (it) => {
        const size = (await it.sizes().catch(() => ({}))).responseBodySize;
        // Nobody knows the size of what is still under way, such as the event stream.
        if (size > 0 && it.resourceType() !== "eventsource") bytes += size;
      });
      await page.goto(url + where);
      await page.screenshot({ path: named(where, width, colorScheme), fullPage: true });
      await page.addScriptTag({ path: require.resolve("axe-core", { paths: [process.env.PLAYWRIGHT] }) });
      const { violations, passes } = await page.evaluate(() => axe.run());
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const faults = serious.map(({ id, nodes }) => `${id}: ${nodes.map((it) => it.target.join(" ")).join("; ")}`);
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth > window.innerWidth);
      const framed = await page.locator(".skip").count();
      if (framed) {
        await page.keyboard.press("Tab");
        await page.keyboard.press("Enter");
      }
      const focused = await page.evaluate(() => document.activeElement.id);
      seen.push({ where, width, colorScheme, faults, rules: passes.length, wide, bytes, skips: !framed || focused === "main" });
      await page.close();
    }
    await context.close();
  }
  return seen;
};

/// The words on each page with script and without.
const plain = async (browser, storageState, pages) => {
  const words = async (javaScriptEnabled) => {
    const context = await browser.newContext({ storageState, javaScriptEnabled, viewport: { width: 1280, height: 844 } });
    const said = [];
    for (const where of pages) {
      const page = await context.newPage();
      await page.goto(url + where);
      said.push(await text(page));
      await page.close();
    }
    await context.close();
    return said;
  };
  const [withScript, without] = [await words(true), await words(false)];
  return pages.map((where, at) => ({ where, withScript: withScript[at], without: without[at] }));
};

(async () => {
  const [scene, ...words] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--no-proxy-server"] });
  const storageState = fs.existsSync(session) ? session : undefined;
  if (scene === "tour" || scene === "plain") {
    try {
      console.log(JSON.stringify(await { tour, plain }[scene](browser, storageState, words)));
    } finally {
      await browser.close();
    }
    return;
  }
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
