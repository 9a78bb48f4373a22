//! The API as its callers see it, on a real PostgreSQL and a real RabbitMQ; the service runs in
//! the test's process, with the wiring of `main`.

mod bad_input;
mod bodies;
mod client;
mod deliveries;
mod deliveries_of_others;
mod endpoints;
mod events;
mod idempotency;
mod keys;
mod leaks;
mod openapi;
mod outages;
mod pages;
mod profiles;
mod rejected;
mod secrets;
mod service;
mod start;
mod tenants;
