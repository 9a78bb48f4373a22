// Receives webhooks (profile standard-webhooks). Usage: SIGNPOST_SECRET=whsec_… node receive.js 8000
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';

const key = Buffer.from(process.env.SIGNPOST_SECRET.replace(/^whsec_/, ''), 'base64');

function isGenuine(headers, body) {
  const sentAt = headers['webhook-timestamp'];
  const hmac = createHmac('sha256', key).update(`${headers['webhook-id']}.${sentAt}.`).update(body);
  const expected = Buffer.from(`v1,${hmac.digest('base64')}`);
  const signatures = (headers['webhook-signature'] ?? '').split(' ').map((text) => Buffer.from(text));
  const signed = signatures.some((found) => found.length === expected.length && timingSafeEqual(found, expected));
  return signed && Math.abs(Date.now() / 1000 - sentAt) < 300; // older ones may be replayed
}

createServer(async (request, response) => {
  const body = await buffer(request);
  const genuine = isGenuine(request.headers, body);
  if (genuine) console.log(request.headers['webhook-id'], body.toString()); // a retry has the same id: act once
  response.writeHead(genuine ? 204 : 401).end();
}).listen(Number(process.argv[2]), '127.0.0.1');
