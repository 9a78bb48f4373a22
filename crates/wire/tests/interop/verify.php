<?php
// Checks rendered requests as receivers in PHP do: hash_hmac over the raw body, hash_equals on the
// header. Reads a JSON array on standard input; see README.md.
declare(strict_types=1);

function hex(string $content, string $secret): string
{
    return hash_hmac('sha256', $content, $secret);
}

function base64(string $content, string $secret): string
{
    return base64_encode(hash_hmac('sha256', $content, $secret, true));
}

/** What the signature header must be, or one of what it may be. */
function expected(array $request): array
{
    [$body, $secret, $headers] = [$request['body'], $request['secret'], $request['headers']];
    $slackTime = $headers['x-slack-request-timestamp'] ?? '';
    $stripeTime = preg_match('/(?:^|,)t=(\d+)/', $headers['stripe-signature'] ?? '', $match) ? $match[1] : '';
    $standard = ($headers['webhook-id'] ?? '') . '.' . ($headers['webhook-timestamp'] ?? '') . '.' . $body;
    return match ($request['profile']) {
        'standard-webhooks' => [
            'webhook-signature',
            'v1,' . base64($standard, base64_decode(substr($secret, strlen('whsec_')), true)),
            ' ',
        ],
        'privato' => ['x-signature', hex($body, $secret), null],
        'inprivy' => ['inprivy-signature', hex($body, $secret), null],
        'cryptlex' => ['webhook-signature', base64($body, $secret), null],
        'core-api' => ['x-webhook-signature', 'sha256=' . hex($body, $secret), null],
        'license-manager' => ['x-webhook-signature', hex($body, $secret), null],
        'github' => ['x-hub-signature-256', 'sha256=' . hex($body, $secret), null],
        'stripe' => ['stripe-signature', 'v1=' . hex("$stripeTime.$body", $secret), ','],
        'shopify' => ['x-shopify-hmac-sha256', base64($body, $secret), null],
        'slack' => ['x-slack-signature', 'v0=' . hex("v0:$slackTime:$body", $secret), null],
    };
}

function accepts(array $request): bool
{
    [$name, $signature, $separator] = expected($request);
    $given = $request['headers'][$name] ?? '';
    foreach ($separator === null ? [$given] : explode($separator, $given) as $item) {
        if (hash_equals($signature, $item)) {
            return true;
        }
    }
    return false;
}

$checked = 0;
foreach (json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR) as $request) {
    if ($request['profile'] === 'standard-webhooks-ed25519') {
        continue; // ext-sodium is not on every machine; Node checks this one.
    }
    if (!accepts($request)) {
        throw new Exception("{$request['profile']} refuses a good request");
    }
    $body = $request['body'];
    foreach ([$body . ' ', str_replace('license', 'licence', $body), substr($body, 1)] as $tampered) {
        if (accepts(['body' => $tampered] + $request)) {
            throw new Exception("{$request['profile']} takes a changed body");
        }
    }
    $checked++;
}
echo "checked $checked\n";
