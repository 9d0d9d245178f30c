// What a real browser says of a page: console, requests, width on screen and on A4 paper, and axe-core's serious violations, as JSON.
// node browse.mjs NODE_MODULES CHROMIUM PAGE.html
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, chromiumPath, page] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const axe = readFileSync(`${modules}/axe-core/axe.min.js`, "utf8");
const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
const found = [];
for (const width of [375, 1440]) {
  for (const colorScheme of ["light", "dark"]) {
    // bypassCSP lets axe-core in: the page itself allows no script.
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
    const tab = await context.newPage();
    const said = [];
    tab.on("console", (message) => said.push(message.text()));
    tab.on("pageerror", (error) => said.push(String(error)));
    tab.on("request", (request) => request.url() !== `file://${page}` && said.push(request.url()));
    await tab.goto(`file://${page}`);
    const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
    await tab.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
    await tab.evaluate(axe);
    const result = await tab.evaluate(() => globalThis.axe.run());
    const serious = result.violations.filter((one) => ["serious", "critical"].includes(one.impact)).map((one) => one.id);
    found.push({ asked: width, scheme: colorScheme, width: wide, said, violations: serious });
    if (width === 375) {
      await tab.emulateMedia({ media: "print" });
      await tab.setViewportSize({ width: 650, height: 1000 }); // A4 less its margins is 718: the rest is room for longer words
      found.at(-1).paper = await tab.evaluate(() => document.documentElement.scrollWidth);
    }
    await context.close();
  }
}
await browser.close();
console.log(JSON.stringify(found));
