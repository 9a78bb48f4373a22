// Publishes an event. Usage: npm ci; node publish.js acme post.created '{"id": 123}'
import { randomUUID } from 'node:crypto';
import amqp from 'amqplib';

const [tenant, type, data] = process.argv.slice(2);
const url = process.env.SIGNPOST_AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/%2f';
const messageId = `evt-${randomUUID()}`; // after a failure publish with the same id again: it is delivered once

const connection = await amqp.connect(url);
const channel = await connection.createConfirmChannel();
let returned;
channel.on('return', (message) => (returned = message.fields.replyText));
channel.publish('signpost.events', `${tenant}.${type}`, Buffer.from(data), {
  contentType: 'application/json',
  persistent: true,
  messageId,
  mandatory: true,
});
await channel.waitForConfirms(); // rejects when the broker does
await connection.close();
if (returned) throw new Error(`nothing took the event: ${returned}`);
console.log(messageId);
