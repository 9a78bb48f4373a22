// Checks rendered requests with the libraries that receivers use, and with plain node:crypto as
// each provider's document describes. Reads a JSON array on standard input; see README.md.
import crypto from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { verify as octokit } from '@octokit/webhooks-methods';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';

const stripe = new Stripe('sk_test_unused');

const equal = (a, b) => {
  const [left, right] = [Buffer.from(a ?? ''), Buffer.from(b ?? '')];
  return left.length === right.length && crypto.timingSafeEqual(left, right);
};
const hmac = (encoding, secret, content) =>
  crypto.createHmac('sha256', secret).update(content).digest(encoding);
const fresh = (seconds) => Math.abs(Date.now() / 1000 - Number(seconds)) < 300;

/// The scheme v1a with the public key, as the Standard Webhooks specification has it.
const ed25519 = ({ headers, body, public_key }) => {
  const raw = Buffer.from(public_key.slice('whpk_'.length), 'base64');
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]);
  const key = crypto.createPublicKey({ key: der, format: 'der', type: 'spki' });
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return headers['webhook-signature']
    .split(' ')
    .filter((item) => item.startsWith('v1a,'))
    .some((item) => crypto.verify(null, Buffer.from(content), key, Buffer.from(item.slice(4), 'base64')));
};

// Each verifier says true, or says false or throws.
const verifiers = {
  'standard-webhooks': [
    ({ headers, body, secret }) => !!new StandardWebhook(secret).verify(body, headers),
    ({ headers, body, secret }) => !!new SvixWebhook(secret).verify(body, headers),
  ],
  'standard-webhooks-ed25519': [ed25519],
  privato: [({ headers, body, secret }) => equal(hmac('hex', secret, body), headers['x-signature'])],
  inprivy: [({ headers, body, secret }) => equal(hmac('hex', secret, body), headers['inprivy-signature'])],
  cryptlex: [({ headers, body, secret }) => equal(hmac('base64', secret, body), headers['webhook-signature'])],
  'core-api': [
    ({ headers, body, secret }) =>
      equal(`sha256=${hmac('hex', secret, body)}`, headers['x-webhook-signature']),
  ],
  'license-manager': [
    ({ headers, body, secret }) => equal(hmac('hex', secret, body), headers['x-webhook-signature']),
  ],
  github: [({ headers, body, secret }) => octokit(secret, body, headers['x-hub-signature-256'])],
  stripe: [
    ({ headers, body, secret }) =>
      !!stripe.webhooks.constructEvent(body, headers['stripe-signature'], secret),
  ],
  shopify: [
    ({ headers, body, secret }) => equal(hmac('base64', secret, body), headers['x-shopify-hmac-sha256']),
  ],
  slack: [
    ({ headers, body, secret }) => {
      const time = headers['x-slack-request-timestamp'];
      const expected = `v0=${hmac('hex', secret, `v0:${time}:${body}`)}`;
      return fresh(time) && equal(expected, headers['x-slack-signature']);
    },
  ],
};

// What a receiver reads out of each request.
const facts = {
  'standard-webhooks': (b, h, e) => [b.type === e.type, b.data, h['webhook-id'] === e.id, Date.parse(b.timestamp) > 0],
  privato: (b) => [b],
  inprivy: (b) => [b.data],
  cryptlex: (b, h, e) => [
    b.event === e.type, b.data, /\.\d{7}Z$/.test(b.triggeredAt),
    h['content-type'] === 'application/json; charset=utf-8',
  ],
  'core-api': (b, h, e) => [
    b.id === e.id, b.type === e.type, b.data.object, b.workspace_id === Number(e.tenant),
    h['x-webhook-id'] === e.id, fresh(h['x-webhook-timestamp']), /\d\dZ$/.test(b.created_at),
  ],
  'license-manager': (b, h, e) => [
    b.event_type === e.type, b.payload, h['x-webhook-event'] === e.type,
    h['user-agent'] === 'LicenseManager-Webhook/1.0',
  ],
  github: (b, h, e) => [b, h['x-github-event'] === e.type, h['x-github-delivery'] === e.id],
  stripe: (b) => [b],
  shopify: (b, h, e) => [
    b, h['x-shopify-topic'] === e.type.replace('.', '/'), h['x-shopify-event-id'] === e.id,
  ],
  slack: (b) => [b],
};
facts['standard-webhooks-ed25519'] = facts['standard-webhooks'];

async function accepts(verifier, request) {
  try {
    return (await verifier(request)) === true;
  } catch {
    return false;
  }
}

let checked = 0;
for (const request of JSON.parse(readFileSync(0, 'utf8'))) {
  const { profile, body, headers, event } = request;
  for (const [index, verifier] of verifiers[profile].entries()) {
    const name = `${profile} #${index}`;
    if (!(await accepts(verifier, request))) throw new Error(`${name} refuses a good request`);
    for (const tampered of [`${body} `, body.replace('license', 'licence'), body.slice(1)]) {
      if (await accepts(verifier, { ...request, body: tampered })) {
        throw new Error(`${name} takes a changed body`);
      }
    }
    if (await accepts(verifier, { ...request, headers: {} })) {
      throw new Error(`${name} takes an unsigned request`);
    }
    checked += 1;
  }
  for (const fact of facts[profile](JSON.parse(body), headers, event)) {
    const holds = typeof fact === 'boolean' ? fact : isDeepStrictEqual(fact, JSON.parse(event.data));
    if (!holds) throw new Error(`${profile}: the request does not say what it should: ${body}`);
  }
}
console.log(`checked ${checked}`);
