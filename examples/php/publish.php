<?php // Publishes an event over HTTP. Usage: SIGNPOST_KEY=… php publish.php acme post.created '{"id": 123}'

[, $tenant, $type, $data] = $argv;
$server = getenv('SIGNPOST_SERVER') ?: 'http://127.0.0.1:8080';
$id = 'evt-' . bin2hex(random_bytes(16)); // after a failure publish with the same id again: it is delivered once

$answer = file_get_contents("$server/v1/tenants/$tenant/events", context: stream_context_create(['http' => [
    'method' => 'POST',
    'header' => ['Authorization: Bearer ' . getenv('SIGNPOST_KEY'), 'Content-Type: application/json'],
    'content' => json_encode(['id' => $id, 'type' => $type, 'data' => json_decode($data)]),
    'timeout' => 10,
]]));
if ($answer === false) { // the warning names the status; 202 says that the broker has confirmed the event
    exit(1);
}
echo "$id\n";
