/**
 * The preview page in Chromium over a running demo: what a person without Grafana sees. Every panel of every dashboard must
 * draw data; folding, variables, ranges and errors must work. Closes with a `Tests:` line as jest does.
 */
import { equal, match, ok } from 'node:assert/strict';
import { request } from 'node:http';

import { type Browser, chromium, type Page } from 'playwright-core';

import { type Demo, startDemo } from './demo';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

interface World {
  demo: Demo;
  browser: Browser;
}

type Case = [name: string, run: (world: World) => Promise<void>];

/** A page that fails the test on any script error. */
async function open(world: World, path: string): Promise<{ page: Page; faults: string[] }> {
  const page = await world.browser.newPage({ viewport: { width: 1600, height: 1000 } });
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(world.demo.url + path);
  await page.waitForSelector('[data-panel]', { timeout: 30_000 });
  return { page, faults };
}

/** Scrolls through the page so that every panel loads, and gives each panel's state. */
async function states(page: Page): Promise<Map<string, string>> {
  const cells = await page.locator('.cell').count();
  for (let index = 0; index < cells; index += 1) {
    await page.locator('.cell').nth(index).scrollIntoViewIfNeeded();
  }
  await page.waitForFunction(
    () => [...document.querySelectorAll('[data-panel]')].every((panel) => panel.getAttribute('data-state') !== 'loading'),
    undefined,
    { timeout: 60_000 }
  );
  const found = await page
    .locator('[data-panel]')
    .evaluateAll((panels) =>
      panels.map((panel) => [panel.getAttribute('data-title') ?? '', panel.getAttribute('data-state') ?? ''] as const)
    );
  return new Map(found);
}

function statusWithHost(url: string, host: string): Promise<number> {
  return new Promise((done, fail) => {
    request(url, { headers: { host } }, (response) => {
      response.resume();
      done(response.statusCode ?? 0);
    })
      .on('error', fail)
      .end();
  });
}

function dashboardShowsData(uid: string): Case {
  return [
    `${uid}: every panel draws data`,
    async (world) => {
      const { page, faults } = await open(world, `/d/${uid}?from=now-15m&to=now&refresh=`);
      const found = await states(page);
      ok(found.size > 5, `only ${String(found.size)} panels`);
      const bad = [...found].filter(([, state]) => state !== 'done' && state !== 'nothing');
      const shot = process.env.PODSCOPE_SCREENSHOTS;
      if (shot !== undefined) {
        await page.setViewportSize({ width: 1600, height: 3200 });
        await page.evaluate(() => {
          window.scrollTo(0, 0);
        });
        await page.screenshot({ path: `${shot}/${uid}.png` });
      }
      equal(bad.length, 0, `not drawn: ${JSON.stringify(bad)}`);
      equal(faults.length, 0, faults.join('\n'));
      await page.close();
    },
  ];
}

const CASES: Case[] = [
  dashboardShowsData('podscope-node'),
  dashboardShowsData('nvidia-dcgm'),
  [
    'the page says that it is a preview without Grafana',
    async (world) => {
      const { page } = await open(world, '/');
      match(await page.locator('header').innerText(), /preview without Grafana/);
      match(page.url(), /\/d\/podscope-node/);
      await page.close();
    },
  ],
  [
    'choosing a node narrows every panel to it',
    async (world) => {
      const { page } = await open(world, '/d/podscope-node?from=now-15m&to=now&refresh=');
      const node = page.getByLabel('Node', { exact: true });
      const options = await node.locator('option').allInnerTexts();
      ok(options.length >= 4, `All, this machine and two simulated nodes, not ${options.join(', ')}`);
      const chosen = options.find((option) => option !== 'All') ?? '';
      const asked = page.waitForRequest(
        (sent) => sent.url().endsWith('/api/ds/query') && (sent.postData() ?? '').includes(chosen)
      );
      await node.selectOption(chosen);
      await asked;
      match(page.url(), new RegExp(`var-instance=${encodeURIComponent(chosen)}`));
      await page.close();
    },
  ],
  [
    'folding a row hides its panels and opening it brings them back',
    async (world) => {
      const { page } = await open(world, '/d/nvidia-dcgm?refresh=');
      const before = await page.locator('.cell').count();
      const row = page.locator('.row-title').first();
      await row.click();
      const folded = await page.locator('.cell').count();
      ok(folded < before, `${String(folded)} cells of ${String(before)}`);
      await row.click();
      equal(await page.locator('.cell').count(), before);
      await page.close();
    },
  ],
  [
    'a failing query is shown in its panel and the others still draw',
    async (world) => {
      const page = await world.browser.newPage({ viewport: { width: 1600, height: 1000 } });
      await page.route('**/api/dashboards/uid/podscope-node', async (route) => {
        const answer = await route.fetch();
        const text = await answer.text();
        await route.fulfill({ response: answer, body: text.replace('node_load1{', 'nosuchfunction(node_load1{') });
      });
      await page.goto(`${world.demo.url}/d/podscope-node?from=now-15m&to=now&refresh=`);
      await page.waitForSelector('[data-title="Load per CPU"][data-state="error"]', { timeout: 30_000 });
      await page.waitForSelector('[data-title="CPU busy"][data-state="done"]', { timeout: 30_000 });
      await page.close();
    },
  ],
  [
    'a server that does not answer is said, not a blank page',
    async (world) => {
      const page = await world.browser.newPage();
      await page.route('**/api/dashboards', (route) => route.abort());
      await page.goto(`${world.demo.url}/d/podscope-node`);
      await page.waitForSelector('[role="alert"]', { timeout: 30_000 });
      await page.close();
    },
  ],
  [
    'another host name is refused',
    async ({ demo }) => {
      equal(await statusWithHost(`${demo.url}/api/dashboards`, 'evil.example'), 403);
      equal(await statusWithHost(`${demo.url}/api/dashboards`, new URL(demo.url).host), 200);
    },
  ],
  [
    'status, verify and logs agree that all is well',
    ({ demo }) => {
      equal(demo.podscope('demo', 'status', '--quiet').status, 0);
      const verify = demo.podscope('verify');
      equal(verify.status, 0, verify.output);
      match(verify.output, /dashboard nvidia-dcgm: \d+ panels show data/);
      ok(demo.podscope('demo', 'logs').output.includes('== agent'));
      return Promise.resolve();
    },
  ],
];

async function main(): Promise<number> {
  const demo = await startDemo();
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
  let passed = 0;
  let failed = 0;
  for (const [name, run] of CASES) {
    try {
      await run({ demo, browser });
      passed += 1;
      process.stdout.write(`ok: ${name}\n`);
    } catch (error) {
      failed += 1;
      process.stdout.write(`FAILED: ${name}\n${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  await browser.close();
  await demo.stop();
  process.stdout.write(`Tests:       ${String(passed)} passed, ${String(failed)} failed, ${String(CASES.length)} total\n`);
  return failed === 0 ? 0 : 1;
}

main()
  .then((status) => process.exit(status))
  .catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.stdout.write('Tests:       0 passed, 1 failed, 1 total\n');
    process.exit(1);
  });
