<?php // Receives webhooks (profile standard-webhooks). Usage: SIGNPOST_SECRET=whsec_… php -S 127.0.0.1:8000 receive.php

function is_genuine(array $headers, string $body): bool
{
    $key = base64_decode(preg_replace('/^whsec_/', '', getenv('SIGNPOST_SECRET')));
    $sent_at = $headers['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $content = ($headers['HTTP_WEBHOOK_ID'] ?? '') . ".$sent_at.$body";
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', $content, $key, true));
    $signed = false;
    foreach (explode(' ', $headers['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $signature) { // several during a rotation
        $signed = hash_equals($expected, $signature) || $signed;
    }
    return $signed && abs(time() - (int) $sent_at) < 300; // older ones may be replayed
}

$body = file_get_contents('php://input');
if (!is_genuine($_SERVER, $body)) {
    http_response_code(401);
    return;
}
error_log("{$_SERVER['HTTP_WEBHOOK_ID']} $body"); // a retry has the same id: remember it to act once
http_response_code(204);
